"""The `drapto` command.

`--version` is answered before anything else is imported, so that scripts can ask for it at
about the price of starting Python (`bench/startup.py`).
"""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `drapto` program; ends the process with an exit code."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        from drapto._version import __version__

        print(f"drapto {__version__}")
        return
    try:
        from cli.app import run

        code = run(arguments)
    except KeyboardInterrupt:  # before the command could install its own handling
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
