"""Builds the corpus for a person: one directory for each entry, and truth.json beside them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.media.corpus import CORPUS
from tests.media.corpus.entry import Entry, as_json


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/corpus", description=__doc__)
    parser.add_argument("directory", nargs="?", type=Path, help="where to build (default: corpus)")
    parser.add_argument("names", nargs="*", metavar="name", help="which entries (default: all)")
    parser.add_argument("--list", action="store_true", help="only say what there is")
    asked = parser.parse_args()
    unknown = sorted(set(asked.names) - {entry.name for entry in CORPUS})
    if unknown:
        parser.error(f"no entry is called {', '.join(unknown)}; see scripts/corpus --list")
    chosen = [e for e in CORPUS if not asked.names or e.name in asked.names]
    if asked.list:
        _print_table([(entry, "") for entry in chosen], "")
        return 0
    directory = asked.directory or Path("corpus")
    directory.mkdir(parents=True, exist_ok=True)
    _print_table([(entry, _built(entry, directory)) for entry in chosen], "built")
    truths = {entry.name: as_json(entry.truth) for entry in chosen}
    (directory / "truth.json").write_text(json.dumps(truths, indent=1, ensure_ascii=False))
    print(directory / "truth.json")
    return 0


def _built(entry: Entry, directory: Path) -> str:
    """The size of what was built, or why it was not."""
    if entry.missing:
        return f"not built: {entry.missing}"
    place = directory / entry.name
    place.mkdir(exist_ok=True)
    size = entry.make(place).lstat().st_size
    return f"{size:,} bytes"


def _print_table(rows: list[tuple[Entry, str]], heading: str) -> None:
    table = Table("name", "what it is", *([heading] if heading else []), box=None)
    for entry, built in rows:
        table.add_row(entry.name, entry.truth.what, *([built] if heading else []))
    Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "160"))).print(
        table
    )


if __name__ == "__main__":
    sys.exit(main())
