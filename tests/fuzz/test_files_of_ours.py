"""Files that Drapto or a person wrote, and that a crash, an editor or somebody else changed."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import zlib
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from anyio import run
from hypothesis import example, given
from hypothesis import strategies as st

from drapto.core.checkpoint import replay
from drapto.core.comparison import Comparison, Served
from drapto.core.entries import Probed, SegmentDone, SegmentsPlanned, parse_entry
from drapto.core.errors import DraptoError, StateError, UsageError
from drapto.core.flag_overrides import Overrides
from drapto.core.interfaces import ProcessUse, ScriptRun
from drapto.core.job import JobState
from drapto.core.json_text import loads
from drapto.core.manifest import Manifest
from drapto.core.media import ColorInfo
from drapto.core.routing import Mode
from drapto.core.shadow_figures import StageFigures
from drapto.core.state import Fresh, Resumed, StateManager
from drapto.infrastructure.comparison_store import SqliteComparisonStore
from drapto.infrastructure.ffmpeg.label import Label
from drapto.infrastructure.flags.file import FlagsFile, FlagsPlace
from drapto.infrastructure.flags.overrides import OverridesFile
from drapto.infrastructure.flags.reading import parse_flags
from drapto.infrastructure.journal import FileJournal
from drapto.infrastructure.settings import load_settings
from drapto.services.legacy.contract import (
    DetectionReport,
    EncodingReport,
    SegmentationReport,
    read_report,
)
from tests.core.flag_examples import override
from tests.core.job_examples import encoded, identity, plan
from tests.fuzz.strategies import DEEP, LONG_NUMBER, altered, documents, fuzzed, mutated
from tests.infrastructure.comparisons import STAGE, comparison, served

ROOT = Path(__file__).parents[2]
FLAGS = (
    (ROOT / "flags.toml").read_bytes()
    + b"""
[stage.detection]
mode = "canary"
percent = 5
expires = 2027-01-01
rules = [{ when = { paths = ["/films/**"], min_width = 1280 }, mode = "legacy" }]
"""
)
SETTINGS = b'crf = 28\npreset = 6\nworkers = "auto"\n[legacy]\nscripts_dir = "/opt/x"\n'
NASTY_TOML = [
    b"a = " + DEEP,
    b"a = " + b"{b=" * 50_000,
    b"schema = " + LONG_NUMBER,
    b"schema = nan",
    b"[" + b"a." * 20_000 + b"a]\n",
    b"schema = 1\nstage = 3",
    b'schema = 1\n[stage.detection]\nmode = "\\u0000"',
    b"schema = 1\nkill_switch = 9999-99-99",
    b"\xef\xbb\xbf\xff",
]
toml = st.one_of(
    mutated(FLAGS), mutated(SETTINGS), st.binary(max_size=80), st.sampled_from(NASTY_TOML)
)


@fuzzed
@given(toml)
def test_flags_are_flags_or_a_usage_error(data: bytes) -> None:
    try:
        parse_flags(data, Path("flags.toml"))
    except UsageError as error:
        assert "flags.toml" in error.message


@fuzzed
@given(toml)
def test_settings_are_settings_or_a_usage_error(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "drapto.toml"
    file.write_bytes(data)
    try:
        load_settings(config_file=file)
    except UsageError as error:
        assert error.message


def entries() -> list[dict[str, Any]]:
    """The journal of a job that got as far as its first segment."""

    async def work(folder: Path) -> list[dict[str, Any]]:
        journal = FileJournal(folder)
        manager = StateManager(journal)
        await manager.open(identity(), verify=sound)
        await manager.enter(JobState.PROBING)
        await manager.record(Probed(index_digest="ab" * 16, frames=96))
        await manager.enter(JobState.DETECTING)
        await manager.record(SegmentsPlanned(segments=plan(4)))
        await manager.record(SegmentDone(encoded=encoded(0)))
        found = await journal.read()
        await journal.aclose()
        return found

    with tempfile.TemporaryDirectory() as folder:
        return run(work, Path(folder))


async def sound(path: Path, size_bytes: int, digest: str) -> None:
    return None


JOURNAL = entries()
LINES = b"".join(json.dumps(entry).encode() + b"\n" for entry in JOURNAL)


@fuzzed
@given(
    st.one_of(
        mutated(LINES),
        st.lists(documents(JOURNAL[0]), max_size=3).map(b"\n".join),
        st.sampled_from([DEEP + b"\n", LINES + DEEP, LINES + DEEP + b"\n" + LINES]),
    )
)
def test_any_journal_is_gone_on_with_or_begun_anew(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "journal.jsonl").write_bytes(data)

    async def work() -> Fresh | Resumed:
        journal = FileJournal(tmp_path)
        try:
            return await StateManager(journal).open(identity(), verify=sound)
        finally:
            await journal.aclose()

    found = run(work)
    assert isinstance(found, Fresh | Resumed)
    assert run(FileJournal(tmp_path).read)  # and what it left can be read again


@fuzzed
@given(st.lists(st.sampled_from(JOURNAL).flatmap(altered), max_size=6))
def test_any_entries_add_up_or_are_a_state_error(raw: list[Any]) -> None:
    try:
        replay([parse_entry(entry) for entry in raw])
    except StateError as error:
        assert error.message


@fuzzed
@given(
    documents({"version": 1, "overrides": [json.loads(override(Mode.LEGACY).model_dump_json())]}),
    st.binary(),
)
def test_damaged_overrides_stop_nobody(tmp_path: Path, data: bytes, log: bytes) -> None:
    (tmp_path / "flags.toml").write_text("schema = 1\n")
    file = OverridesFile(
        tmp_path / "state", FlagsFile(FlagsPlace(tmp_path / "flags.toml", "named"))
    )
    file.folder.mkdir(parents=True, exist_ok=True)
    file.path.write_bytes(data)
    file.audit_path.write_bytes(log)
    assert isinstance(file.load(), Overrides)
    entries, damaged = file.history()
    assert len(entries) + damaged <= len(log) + 1


MANIFEST = {
    "ok": True, "source": "/a", "output": "/b", "rows": [
        {"name": "frames", "source": "3", "output": "3", "outcome": "ok", "detail": ""}
    ],
}  # fmt: skip


@fuzzed
@given(documents(MANIFEST))
@example(b"[]")
@example(b"3")
def test_a_manifest_is_one_or_a_value_error(data: bytes) -> None:
    try:
        found = Manifest.from_json(data.decode("utf-8", "replace"))
    except ValueError:
        return
    assert Manifest.from_json(found.to_json()) == found


@fuzzed
@given(documents({"source": "/a", "size_bytes": 3, "modified_ns": 4}))
def test_a_damaged_label_holds_nothing(tmp_path: Path, data: bytes) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    label = Label(tmp_path / "copy", source, {"stream_index": 0})
    (tmp_path / "copy.json").write_bytes(data)
    assert label.holds() is False


@fuzzed
@given(documents({"a": [1, "b"]}))
def test_json_is_read_or_a_value_error(data: bytes) -> None:
    try:
        found = loads(data)
    except ValueError:
        return
    assert found is None or isinstance(found, dict | list | str | int | float)


DETECTED = {
    "dynamic_range": "hdr10", "crop": "1920:800:0:140", "crop_confidence": 0.9,
    "color": {
        "primaries": "bt2020", "transfer": "smpte2084", "content_light": "1000,400",
        "mastering_display": "G(0.1,0.2)B(0.1,0.2)R(0.1,0.2)WP(0.1,0.2)L(1000,0.01)",
    },
    "cuts": [4, 8], "notes": ["x"],
}  # fmt: skip
REPORTS = [
    (DetectionReport, DETECTED),
    (
        SegmentationReport,
        {"segments": [{"path": "00000.mkv", "frames": 24}, {"start": 24, "end": 48}]},
    ),
    (EncodingReport, {"frames": 24, "crf": 28.0}),
]


@pytest.mark.parametrize(
    ("model", "said"), REPORTS, ids=lambda value: getattr(value, "__name__", "")
)
@fuzzed
@given(data=st.data())
def test_what_a_script_prints_is_a_report_or_one_error(
    model: type[DetectionReport], said: dict[str, Any], data: st.DataObject
) -> None:
    printed = data.draw(documents(said))
    status = data.draw(st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 126, 127, -9]))
    try:
        run = ScriptRun(("x.sh",), status, printed, "no space", ProcessUse(0.0, 0.0, 0))
        report = read_report(run, model, what="A test")
    except DraptoError:
        return
    assert status == 0
    if isinstance(report, DetectionReport) and report.color is not None:
        assert isinstance(report.color.color(), ColorInfo)


COMPARED = json.loads(comparison().model_dump_json())
SERVED = json.loads(served().model_dump_json())


@fuzzed
@given(
    st.binary(max_size=40) | documents(COMPARED).map(zlib.compress) | documents(COMPARED),
    documents(SERVED).map(lambda data: data.decode("utf-8", "replace")),
)
def test_a_damaged_comparison_is_a_state_error(tmp_path: Path, body: bytes, row: str) -> None:
    store = SqliteComparisonStore(tmp_path)

    async def work() -> None:
        if not store.path.exists():
            await store.record(comparison())
            await store.record_served(served())
        with closing(sqlite3.connect(store.path)) as connection, connection:
            connection.execute("UPDATE comparison_body SET body = ?", (body,))
            connection.execute("UPDATE served SET body = ?", (row,))
        with suppress(StateError):
            assert all(isinstance(one, Served) for one in await store.served(STAGE))
        with suppress(StateError):
            assert isinstance(await store.get(comparison().id), Comparison)
        with suppress(StateError):
            assert isinstance(await store.figures(STAGE), StageFigures)

    run(work)


@fuzzed
@given(st.binary(max_size=400))
def test_a_damaged_store_is_set_aside(tmp_path: Path, data: bytes) -> None:
    store = SqliteComparisonStore(tmp_path)
    store.path.write_bytes(data)
    with suppress(StateError):
        assert run(store.get, "x") is None
    run(store.record, comparison())
    assert run(store.get, comparison().id) == comparison()
