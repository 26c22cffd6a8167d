"""Settings come from flags, files and variables: here there are none but a test's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def enter_empty_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No file and no variable but those a test makes itself; returns the current directory."""
    for name in [name for name in os.environ if name.upper().startswith("DRAPTO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here
