"""A file name is bytes: one that is no text may break no file and no line that Drapto writes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drapto.core.routing import RoutedStage, Side
from tests.end_to_end.disturbing import beside, contents, encode, stage_begins, work_dir
from tests.end_to_end.program import QUICK, events_of
from tests.end_to_end.program import drapto_here as drapto
from tests.legacy import needs_tools
from tests.media import clips
from tests.media.corpus import names
from tests.media.corpus.reading import read

LATIN_1 = os.fsdecode(b"caf\xe9.mkv")
LOOKS_ESCAPED = os.fsdecode(rb"caf\xe9 and caf" + b"\xe9.mkv")
SHOWN = {LATIN_1: r"caf\xe9.mkv", LOOKS_ESCAPED: r"caf\x5cxe9 and caf\xe9.mkv"}


@pytest.fixture(scope="module")
def short_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.simple(tmp_path_factory.mktemp("names"))


@pytest.fixture(params=[LATIN_1, LOOKS_ESCAPED], ids=["latin-1", "looks escaped"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def source(short_film: Path, tmp_path: Path, name: str) -> Path:
    (tmp_path / "in").mkdir()
    return Path(shutil.copy2(short_film, tmp_path / "in" / name))


def strictly_read(data: bytes) -> Any:
    """JSON as a reader sees it that knows UTF-8 and nothing of Python's lone surrogates."""
    read = json.loads(data.decode("utf-8"))
    json.dumps(read, ensure_ascii=False).encode("utf-8")
    return read


def values_of(directory: Path) -> Iterator[tuple[str, Any]]:
    """Every JSON value in the files below a directory, with the name of its file."""
    for path in sorted(directory.rglob("*.json*")):
        lines = path.read_bytes().splitlines() if path.suffix == ".jsonl" else [path.read_bytes()]
        for line in lines:
            yield path.name, strictly_read(line)


@pytest.mark.slow
def test_every_file_and_line_of_json_is_utf_8(source: Path, tmp_path: Path, name: str) -> None:
    output, state = tmp_path / "out" / name, tmp_path / "state"
    output.parent.mkdir()
    done = encode(source, output, "--keep-work", DRAPTO_STATE_DIR=str(state))
    assert done.code == 0, done.stderr
    found = list(values_of(work_dir(output)))
    assert {file for file, _ in found} >= {
        "journal.jsonl", "checkpoint.json", "manifest.json", "log.jsonl",
    }  # fmt: skip
    (kept,) = (value for _, value in values_of(state))
    assert kept["source"] == f"{source.parent}/{SHOWN[name]}"
    assert kept["output"] == f"{output.parent}/{SHOWN[name]}"
    (manifest,) = (value for file, value in found if file == "manifest.json")
    assert manifest == kept
    (created,) = (value for _, value in found if value.get("entry") == "job_created")
    assert created["request"]["source"] == kept["source"]
    strictly_read(json.dumps(done.events).encode())
    assert done.events[0]["source"] == kept["source"]
    assert done.result["output"] == kept["output"]
    assert SHOWN[name].removesuffix(".mkv") in done.result["manifest"]


@pytest.mark.slow
def test_killed_job_of_such_a_file_goes_on(source: Path, tmp_path: Path, name: str) -> None:
    output = tmp_path / "out" / name
    output.parent.mkdir()
    killed = encode(source, output, when=stage_begins("assembly"), then=lambda p: p.kill())
    assert killed.acted
    done = encode(source, output)
    assert done.code == 0, done.stderr
    assert done.warnings == []
    assert done.result["resumed_segments"] == done.result["segments"] > 0
    assert beside(output) == [name]
    assert contents(output) != ""


@pytest.mark.slow
def test_other_commands_write_the_same(source: Path, name: str) -> None:
    for command in ("probe", "analyze"):
        done = drapto(command, source, "--json")
        assert done.returncode == 0, done.stderr
        assert strictly_read(done.stdout.encode())["media"]["path"].endswith(SHOWN[name])


def test_messages_for_people_write_the_same(tmp_path: Path) -> None:
    missing = tmp_path / LATIN_1
    done = drapto("encode", missing, tmp_path / "out.mkv")
    assert done.returncode == 3
    assert r"caf\xe9.mkv" in done.stderr


@pytest.mark.parametrize(
    ("side", "key"),
    [
        *(pytest.param(Side.LEGACY, key, marks=needs_tools) for key in ("lines", "not_utf_8")),
        *(
            pytest.param(Side.LEGACY, key, marks=[needs_tools, pytest.mark.slow])
            for key in ("dash", "shell")
        ),
        # Dashes and shells: tests/security/test_names.py, too.
        *(pytest.param(Side.NEW, key) for key in ("lines", "not_utf_8")),
        *(pytest.param(Side.NEW, key, marks=pytest.mark.slow) for key in ("dash", "shell")),
    ],
)
def test_either_side_takes_any_name_and_any_directory(side: Side, key: str, tmp_path: Path) -> None:
    name = names.NAMES[key][1]
    home = tmp_path / f"-{name}"
    home.mkdir()
    before = names.film(home, name).read_bytes()
    routes = [option for stage in RoutedStage for option in ("--route", f"{stage}={side}")]
    output = f"-out {name.strip()}.mkv"
    done = drapto(
        "encode", *QUICK, "--json", *routes, "--", name, output,
        cwd=home, DRAPTO_STATE_DIR=str(tmp_path / "state"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in home.iterdir()) == sorted([name, output])
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([home.name, "state"])
    assert (home / name).read_bytes() == before
    served = {e["served"]["side"] for e in events_of(done) if e["event"] == "stage_served"}
    assert served == {side}
    found = read(home / output)
    assert found.frames == names.FRAMES
    assert [track.codec for track in found.audio] == ["opus"]
