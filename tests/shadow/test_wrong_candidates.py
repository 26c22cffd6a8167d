"""Wrong candidates through the real machinery: the outcome each deserves, the primary unharmed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from drapto.bootstrap.rollback import make_rollback
from drapto.bootstrap.shadowing import settings_values
from drapto.core import shadow_task
from drapto.core.comparison import Comparison, Outcome
from drapto.core.events import ComparisonDone
from drapto.core.flag_policy import ShadowPolicy
from drapto.core.routing import RoutedStage
from drapto.core.shadow_task import ShadowTask
from drapto.infrastructure.candidates import ProcessCandidates
from drapto.infrastructure.comparison_store import SqliteComparisonStore
from drapto.infrastructure.confine import landlock_version
from drapto.infrastructure.flags.opening import open_flags
from drapto.infrastructure.settings import Settings
from drapto.services.shadow import ShadowRunner
from tests.shadow import faults
from tests.shadow.jobs import Events, Served

DETECTION, SEGMENTATION, ENCODING = RoutedStage
WRONG_WORKER = Path(__file__).with_name("wrong_worker.py")
GIB = 1 << 30

needs_landlock = pytest.mark.skipif(landlock_version() == 0, reason="this kernel has no Landlock")
needs_signal_scope = pytest.mark.skipif(
    landlock_version() < 6, reason="this kernel's Landlock knows no signals"
)


@dataclass(frozen=True)
class Case:
    name: str
    stage: RoutedStage
    outcome: Outcome
    words: str = ""  # in the reason
    film: str = "film"
    deadline_s: float = 240  # a candidate runs when nobody else wants to, other tests included


def _cases(
    stage: RoutedStage, outcome: Outcome, words: dict[str, str], film: str = "film"
) -> list[Case]:
    return [Case(name, stage, outcome, said, film) for name, said in words.items()]


WRONG_VALUES = [
    *_cases(DETECTION, Outcome.CRITICAL, {
        "crop 4 px into the picture": "crop.top (legacy 24 px, new 28 px)",
        "a frame too few": "decoded_frames (legacy 90, new 89)",
    }),
    *_cases(DETECTION, Outcome.MISMATCH, {
        "crop 4 px short": "crop.top (legacy 24 px, new 20 px)",
        "cuts 10 frames late": "cuts.f1",
        "an invented cut": "cuts[0] (legacy none, new frame 10)",
        "a missed cut": "cuts[0] (legacy frame 30, new none)",
        "wrong field order": "interlacing (legacy progressive, new tff)",
        "primaries that are no text": "color.primaries",
    }),
    *_cases(DETECTION, Outcome.CRITICAL, {
        "HDR not seen": "dynamic_range (legacy hdr10, new sdr)",
        "HDR metadata not seen": "color.mastering_display",
    }, "hdr"),
    *_cases(DETECTION, Outcome.MISMATCH, {
        "wrong primaries": "color.primaries (legacy bt2020, new bt470bg)",
    }, "hdr"),
    *_cases(SEGMENTATION, Outcome.CRITICAL, {
        "a gap": "frames.gap",
        "an overlap": "frames.overlap",
        "last segment missing": "frames.gap (legacy 0 frames, new 17 frames)",
        "segment beyond the end": "frames.outside",
        "no segments": "frames.gap (legacy 0 frames, new 90 frames)",
    }),
    *_cases(SEGMENTATION, Outcome.MISMATCH, {"boundaries 10 frames early": "boundaries.f1"}),
]  # fmt: skip

WRONG_FILES = [
    *_cases(ENCODING, Outcome.CRITICAL, {
        "subtitle missing": "tracks[3] (legacy subtitle subrip ger, new none)",
        "wrong language": "tracks[1].language (legacy eng, new ger)",
        "sound 0.3 s late": "tracks[1].start",
        "audio missing": "tracks[2] (legacy audio opus fre, new none)",
        "audio in another order": "tracks.order",
        "forced mark lost": "tracks[3].forced (legacy yes, new no)",
        "chapters lost": "chapters (legacy 2, new 0)",
        "frame dropped": "frames (legacy 90, new 89)",
        "frame doubled": "frames (legacy 90, new 91)",
        "last frame missing": "frames (legacy 90, new 89)",
        "picture 4 px smaller": "picture.height (legacy 132 px, new 128 px)",
        "file truncated": "frames (legacy 90",
    }),
    *_cases(ENCODING, Outcome.MISMATCH, {
        "crf plus 10": "vmaf.mean",
        "wrong title": "tracks[1].title (legacy Stereo, new Mono)",
        "another picture": "vmaf.mean",
        "copy of the source": "tracks[0].codec (legacy av1, new h264)",
    }),
    *_cases(ENCODING, Outcome.CANDIDATE_ERROR, {
        "file of garbage": "cannot be read",
        "empty file": "cannot be read",
        "only the sound": "holds no video",
        "a list of other files": "cannot be read",
        "no file": "wrote no output",
        "a link to the published file": "not the one it was to make",
        "a file outside its directory": "not the one it was to make",
    }),
    *_cases(ENCODING, Outcome.CRITICAL, {
        "HDR lost": "dynamic_range (legacy hdr10, new sdr)",
    }, "hdr"),
]  # fmt: skip

WRONG_RESULTS = [
    *_cases(DETECTION, Outcome.CANDIDATE_ERROR, {
        "wrong type": "of the wrong type: analysis.scenes",
        "unknown field": "of the wrong type: surprise",
        "a list": "of the wrong type: the whole",
        "result of another stage": "holds no detection",
        "time that is no number": "no sensible number",
        "no JSON": "no JSON",
        "empty result": "no JSON",
        "bytes that are no text": "no JSON",
        "nested without end": "nested too deeply",
        "result of 100 MB": "too long",
        "no result": "without a result",
    }),
    *_cases(SEGMENTATION, Outcome.CANDIDATE_ERROR, {
        "segment of huge numbers": "no sensible number",
    }),
]  # fmt: skip

WRONG_DEEDS = [
    *(Case(name, DETECTION, Outcome.TIMEOUT, "still running after its deadline", deadline_s=2)
      for name in ("hang", "deaf", "fork bomb", "flood")),
    *_cases(DETECTION, Outcome.CANDIDATE_ERROR, {
        "crash": "killed by SIGSEGV",
        "exit 1": "exited with status 1, saying: ValueError",
        "memory hog": "MemoryError",
        "disk hog": "File too large",
    }),
]  # fmt: skip

DEEDS_OUTSIDE = _cases(DETECTION, Outcome.CANDIDATE_ERROR, {
    "writes beside the source": "Permission denied",
    "deletes the source": "Permission denied",
    "truncates the output": "Permission denied",
    "overwrites the output": "Permission denied",
    "renames its place": "Permission denied",
})  # fmt: skip

HARMLESS = _cases(DETECTION, Outcome.MATCH, {
    "honest": "within their tolerances",
    "leaves something running": "",
    "locks its directory": "",
    "floods, then is honest": "",
})  # fmt: skip


@dataclass
class Shadow:
    """One shadow run by a wrong worker."""

    state: Path
    films: dict[str, Served]

    async def run(self, case: Case) -> Comparison:
        served = self.films[case.film]
        task = served.task(case.stage)
        task = task.model_copy(update={"policy": ShadowPolicy(memory_gib=2.0)})
        before = served.state()
        ended = await self._run(case.name, task)
        assert served.state() == before
        assert list((self.state / "shadow").iterdir()) == []
        assert psutil.Process().children(recursive=True) == []
        assert sleepers() == []
        return ended

    async def _run(self, fault: str, task: ShadowTask) -> Comparison:
        settings, heard = Settings(state_dir=self.state), Events()
        worker = (sys.executable, str(WRONG_WORKER), fault)
        candidates = ProcessCandidates(settings_values(settings), self.state / "shadow", worker)
        rollback = make_rollback(settings, open_flags(settings), heard)
        runner = ShadowRunner(candidates, rollback, heard)
        await runner.submit(task)
        (ended,) = await runner.run_all()
        assert [event.comparison for event in heard if isinstance(event, ComparisonDone)] == [ended]
        store = SqliteComparisonStore(self.state)
        assert await store.get(task.id) == ended
        return ended


def sleepers() -> list[int]:
    """Processes that a fault leaves behind as they were started, whoever is their parent now."""
    wanted = ["sleep", "600"]
    return [p.pid for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == wanted]


@pytest.fixture
def shadow(tmp_path: Path, film_served: Served, hdr_served: Served) -> Shadow:
    return Shadow(tmp_path / "state", {"film": film_served, "hdr": hdr_served})


# Each is an encode with measuring. What they find is found by another one here, or by the tests of
# the comparators, so they wait for the long tests.
LONG = frozenset({
    "audio in another order", "chapters lost", "frame doubled", "last frame missing", "wrong title",
    "another picture", "copy of the source", "empty file", "forced mark lost", "wrong language",
    "audio missing", "only the sound", "picture 4 px smaller", "a list of other files",
    "file of garbage", "a gap", "an invented cut", "cuts 10 frames late", "crop 4 px short",
    "last segment missing", "HDR not seen", "boundaries 10 frames early", "crf plus 10",
    "subtitle missing", "file truncated", "memory hog", "segment beyond the end",
    "primaries that are no text", "a frame too few", "crop 4 px into the picture",
    "bytes that are no text", "segment of huge numbers", "unknown field", "locks its directory",
    "a link to the published file", "empty result", "a list", "result of 100 MB",
    "sound 0.3 s late", "HDR lost", "a file outside its directory", "no JSON", "wrong type",
    "wrong primaries", "wrong field order", "an overlap", "HDR metadata not seen",
    "time that is no number", "nested without end", "truncates the output",
})  # fmt: skip


def by_name(cases: list[Case]) -> pytest.MarkDecorator:
    slow = [pytest.mark.slow]
    return pytest.mark.parametrize(
        "case",
        [pytest.param(c, id=c.name, marks=slow if c.name in LONG else ()) for c in cases],
    )


async def judged(
    shadow: Shadow, case: Case, monkeypatch: pytest.MonkeyPatch
) -> tuple[Outcome, str]:
    """The outcome, and the words of the case where the reason holds them, else the reason."""
    monkeypatch.setattr(shadow_task, "DEADLINE_FLOOR_S", case.deadline_s)
    found = await shadow.run(case)
    assert len(found.reason) < 1500
    return found.outcome, case.words if case.words in found.reason else found.reason


@by_name(WRONG_VALUES)
async def test_wrong_value(shadow: Shadow, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await judged(shadow, case, monkeypatch) == (case.outcome, case.words)


@by_name(WRONG_FILES)
async def test_wrong_file(shadow: Shadow, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await judged(shadow, case, monkeypatch) == (case.outcome, case.words)


@by_name(WRONG_RESULTS)
async def test_result_that_is_none(
    shadow: Shadow, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await judged(shadow, case, monkeypatch) == (case.outcome, case.words)


@by_name(WRONG_DEEDS)
async def test_misbehaviour(shadow: Shadow, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await judged(shadow, case, monkeypatch) == (case.outcome, case.words)


@needs_landlock
@by_name(DEEDS_OUTSIDE)
async def test_deed_outside_its_directory(
    shadow: Shadow, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await judged(shadow, case, monkeypatch) == (case.outcome, case.words)


@needs_signal_scope
async def test_killing_what_started_it(shadow: Shadow, monkeypatch: pytest.MonkeyPatch) -> None:
    name, words = "kills what started it", "Operation not permitted"
    case = Case(name, DETECTION, Outcome.CANDIDATE_ERROR, words)
    assert await judged(shadow, case, monkeypatch) == (case.outcome, case.words)


@by_name(HARMLESS)
async def test_honest_result_counts_whatever_else_it_does(
    shadow: Shadow, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await judged(shadow, case, monkeypatch) == (case.outcome, case.words)


def test_every_fault_is_tried() -> None:
    tried = {case.name for table in (
        WRONG_VALUES, WRONG_FILES, WRONG_RESULTS, WRONG_DEEDS, DEEDS_OUTSIDE, HARMLESS
    ) for case in table}  # fmt: skip
    known = {*faults.BEFORE, *faults.AFTER, *faults.INSTEAD, "honest"}
    assert known - tried == {"kills what started it"}
    assert tried - known == set()
