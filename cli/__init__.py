"""The `drapto` command: parses, calls, renders. No decisions about video."""
