"""Every parser of bytes or text that somebody else may have written.

The rule: any input gives a value, or the error that the parser's docstring names; nothing else,
and soon. `scripts/fuzz` looks for longer than the usual tests do.
"""
