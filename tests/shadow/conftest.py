"""Jobs that were served once, and the shadow tasks they leave behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.media import clips
from tests.shadow.jobs import Serve, Served, film_with_everything


@pytest.fixture(scope="session")
def film_served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    directory = tmp_path_factory.mktemp("served")
    return Serve(directory)(film_with_everything(directory / "films"))


@pytest.fixture(scope="session")
def hdr_served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    directory = tmp_path_factory.mktemp("hdr")
    (directory / "films").mkdir()
    return Serve(directory)(clips.hdr10(directory / "films"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "state"
