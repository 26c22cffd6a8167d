"""One film, and what an undisturbed encode makes of it, for all tests that disturb one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import pytest

from tests.end_to_end.disturbing import contents, encode_here
from tests.media import clips

pytest.register_assert_rewrite("tests.end_to_end.corpus")  # so that it shows what it compared


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Nine seconds with four cuts and sound, which no fault may change."""
    path = clips.with_cuts(tmp_path_factory.mktemp("film"), clips.HALF, rate=12)[0]
    before = blake2b(path.read_bytes()).digest()
    yield path
    assert blake2b(path.read_bytes()).digest() == before


@pytest.fixture(scope="session")
def undisturbed(film: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    output = tmp_path_factory.mktemp("undisturbed") / "out.mkv"
    assert encode_here(film, output).code == 0
    return contents(output)


@pytest.fixture
def source(film: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy2(film, tmp_path / "in.mkv"))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """In a directory of its own, so that a test sees all that lies beside it."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "out.mkv"
