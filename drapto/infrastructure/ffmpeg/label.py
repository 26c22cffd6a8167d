"""Says of a copy in the work directory what it was made from, so that a later run can use it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drapto.core.json_text import dumps, loads
from drapto.infrastructure.files import cleared


@dataclass(frozen=True)
class Label:
    """The label of `copy`: a JSON file beside it, written once it is whole.

    `made_with`: what else the copy depends on, as JSON gives it back.
    """

    copy: Path
    source: Path
    made_with: dict[str, Any]

    def holds(self) -> bool:
        """True if the copy was made from this source, as it is now, with the same."""
        try:
            return bool(loads(self._path.read_text()) == self._facts())
        except (OSError, ValueError):
            return False

    def write(self) -> None:
        cleared(self._path).write_text(dumps(self._facts()))

    @property
    def _path(self) -> Path:
        return self.copy.with_name(f"{self.copy.name}.json")

    def _facts(self) -> dict[str, Any]:
        state = self.source.stat()
        return {
            "source": str(self.source.absolute()),
            "size_bytes": state.st_size,
            "modified_ns": state.st_mtime_ns,
            **self.made_with,
        }
