"""A store as months of shadow runs leave it: made-up results, compared by the real comparators."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.comparison_store import made_up
from drapto.core.comparison import Comparison
from drapto.infrastructure.comparison_schema import Database
from drapto.infrastructure.comparison_store import SqliteComparisonStore, insert_comparisons

ODD_PATH = Path('/films/<script>alert("1")</script> & \udce9\u202egnp.mkv')
"""Markup, a byte that is no text, and a character that turns the rest around."""


def history(comparisons: int = 600, *, days: float = 20, revision: str = "1") -> list[Comparison]:
    """Oldest first, the newest one a second old; the same for every call but for the times."""
    newest = datetime.now(UTC) - timedelta(seconds=1)
    made = list(made_up(comparisons, seed=7, aa_share=0.12))
    return [
        some.model_copy(
            update={
                "at": newest - timedelta(days=days) * (1 - (number + 1) / comparisons),
                "revision": revision,
                "source": ODD_PATH if number % 5 == 0 else some.source,
                "reproduce": f"drapto shadow compare --stage {some.stage} {some.source}",
            }
        )
        for number, some in enumerate(made)
    ]


def filled_store(state_dir: Path, comparisons: list[Comparison]) -> SqliteComparisonStore:
    store = SqliteComparisonStore(state_dir)
    state_dir.mkdir(parents=True, exist_ok=True)

    def write(connection: sqlite3.Connection) -> None:
        insert_comparisons(connection, comparisons)

    Database(store.path, print).run(write, write=True)
    return store
