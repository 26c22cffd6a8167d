"""Faults injected into real encodes: `python -m tests.faults`; what is promised: docs/faults.md."""
