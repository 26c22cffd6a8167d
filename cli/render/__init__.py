"""What the user sees while a command runs: one module per way of showing it."""
