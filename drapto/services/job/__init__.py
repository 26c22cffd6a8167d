"""One job, step by step: `run.py` is the order, the other modules are the steps."""
