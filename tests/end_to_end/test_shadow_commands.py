"""`drapto shadow …` through the real program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drapto.core.comparison import Comparison, Outcome
from drapto.core.json_text import loads
from drapto.core.offline import OfflineComparison
from drapto.core.routing import RoutedStage, Side
from drapto.core.shadow_report import ShadowReport
from tests.comparison_history import ODD_PATH, filled_store, history
from tests.empty_world import enter_empty_world
from tests.end_to_end.program import drapto_here
from tests.legacy import needs_tools
from tests.media import clips


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "200")
    return enter_empty_world(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds with a cut and sound: both sides of every stage are run on it, when idle."""
    scenes = (("testsrc2", 24), ("smptehdbars", 24))
    return clips.with_cuts(tmp_path_factory.mktemp("film"), scenes, size="160x90")[0]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state dir"


def shadow(*arguments: str | Path, code: int = 0, **env: str) -> tuple[str, str]:
    done = drapto_here("shadow", *arguments, **env)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def compared(film: Path, *arguments: str, **env: str) -> OfflineComparison:
    shown, _ = shadow("compare", film, "--preset", "13", "--json", *arguments, **env)
    return OfflineComparison.model_validate(loads(shown))


@pytest.mark.timeout(900)  # candidates run when nobody else wants to, other tests included
@needs_tools
def test_compare_runs_both_sides_of_every_stage_and_leaves_nothing_behind(
    film: Path, state: Path, here: Path
) -> None:
    before = sorted(film.parent.iterdir())
    found = compared(film, "--crf", "50", DRAPTO_STATE_DIR=str(state))
    assert [trial.comparison.stage for trial in found.trials] == list(RoutedStage)
    for trial in found.trials:
        assert {run.side for run in trial.runs} == set(Side)
        assert all(run.wall_s > 0 and not run.fault for run in trial.runs)
        assert trial.comparison.fields
        assert trial.comparison.outcome in (Outcome.MATCH, Outcome.MISMATCH)
    encoding = found.of(RoutedStage.ENCODING)[0].comparison
    assert {"size_ratio", "vmaf_mean_difference"} <= set(encoding.measures)
    assert "--crf 50 --preset 13" in encoding.reproduce
    assert sorted(film.parent.iterdir()) == before
    assert list(here.iterdir()) == []
    assert list(state.rglob("*")) in ([], [state / "shadow"])  # no store, no place of a run


@pytest.mark.slow
@needs_tools
def test_compare_prints_a_table_and_the_timings_of_every_run(film: Path, state: Path) -> None:
    shown, _ = shadow(
        "compare", film, "--stage", "segmentation", "--repeat", "2", DRAPTO_STATE_DIR=str(state)
    )
    lines = shown.splitlines()
    assert lines[0].startswith(("segmentation: match.", "segmentation: mismatch."))
    header = next(line for line in lines if line.startswith("field"))
    assert header.split()[:6] == ["field", "legacy", "new", "distance", "tolerance", "severity"]
    assert any(line.startswith("frames.total") for line in lines)
    timings = [line for line in lines if line.startswith(("run 1: ", "run 2: "))]
    assert len(timings) == 2
    assert all("legacy" in line and "new" in line for line in timings)
    assert "Nothing was stored" in shown


@pytest.mark.slow
@needs_tools
def test_kept_comparison_is_shown_by_its_id_and_counted_by_the_report(
    film: Path, state: Path
) -> None:
    env = {"DRAPTO_STATE_DIR": str(state)}
    kept = compared(film, "--stage", "detection", "--keep", **env)
    comparison = kept.trials[0].comparison
    assert kept.kept
    shown, _ = shadow("show", comparison.id[:6], "--json", **env)
    assert Comparison.model_validate(loads(shown)) == comparison
    report = json.loads(shadow("report", "--format", "json", **env)[0])
    assert report["stages"][0]["comparisons"] == 1
    again = comparison.reproduce.removeprefix("drapto shadow compare ")
    assert again == f"--stage detection --preset 13 {film}"


def test_side_that_fails_is_an_outcome_and_no_error(film: Path, state: Path, here: Path) -> None:
    own = here / "scripts"
    own.mkdir()
    (own / "detect").write_text("#!/bin/sh\necho it is raining >&2\nexit 9\n")
    (own / "detect").chmod(0o755)
    found = compared(
        film, "--stage", "detection",
        DRAPTO_STATE_DIR=str(state), DRAPTO_LEGACY_SCRIPTS_DIR=str(own),
    )  # fmt: skip
    comparison = found.trials[0].comparison
    assert comparison.outcome is Outcome.LEGACY_ERROR
    assert "it is raining" in comparison.reason
    assert {run.side: bool(run.fault) for run in found.trials[0].runs} == {
        Side.LEGACY: True, Side.NEW: False,
    }  # fmt: skip


@pytest.mark.slow
def test_missing_tool_of_the_legacy_side_is_exit_4_and_named(
    film: Path, state: Path, here: Path
) -> None:
    own = here / "no scripts"
    own.mkdir()
    _, said = shadow(
        "compare", film, "--stage", "detection", code=4,
        DRAPTO_STATE_DIR=str(state), DRAPTO_LEGACY_SCRIPTS_DIR=str(own),
    )  # fmt: skip
    assert "neither detect.sh nor detect" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("content", [None, b"no video at all"], ids=["missing", "broken"])
def test_input_that_cannot_be_used_is_exit_3(here: Path, content: bytes | None) -> None:
    source = here / "in.mkv"
    if content is not None:
        source.write_bytes(content)
    _, said = shadow("compare", source, code=3)
    assert said.count("\n") == 1
    assert str(source) in said


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("compare", "x.mkv", "--stage", "detektion"), "Did you mean 'detection'?"),
        (("compare", "x.mkv", "--repeat", "0"), "--repeat"),
        (("report", "--format", "pdf"), "table, json, html"),
        (("report", "--since", "yesterday"), "7d or 24h"),
        (("show", "0123"), "None is stored yet"),
    ],
)
def test_wrong_usage_is_exit_2_and_says_what_is_allowed(
    arguments: tuple[str, ...], hint: str
) -> None:
    assert hint in shadow(*arguments, code=2)[1]


def test_unknown_id_names_those_that_are_near(state: Path) -> None:
    comparisons = history(60)
    filled_store(state, comparisons)
    wanted = comparisons[10].id
    for wrong in (wanted[:-1] + "x", "x" + wanted[1:]):
        assert wanted in shadow("show", wrong, code=2, DRAPTO_STATE_DIR=str(state))[1]


def test_show_has_both_sides_every_field_and_the_command(state: Path) -> None:
    comparisons = history(60)
    filled_store(state, comparisons)
    some = next(c for c in comparisons if c.stage is RoutedStage.DETECTION and c.discrepancies)
    shown, _ = shadow("show", some.id, DRAPTO_STATE_DIR=str(state))
    assert some.reason in shown
    assert f"reproduce: {some.reproduce}" in shown or some.source == ODD_PATH
    for field in some.fields:
        assert any(
            line.startswith(field.field) and field.legacy in line and field.new in line
            for line in shown.splitlines()
        )


def test_report_says_verdict_reason_figures_and_worst_cases(state: Path) -> None:
    filled_store(state, history())
    env = {"DRAPTO_STATE_DIR": str(state)}
    report = ShadowReport.model_validate(loads(shadow("report", "--format", "json", **env)[0]))
    shown, _ = shadow("report", **env)
    for stage in report.stages:
        verdict = stage.verdict
        assert f"{stage.stage}: {verdict.decision}. {verdict.reason}" in shown
        assert f"{verdict.lower_95:.1%}" in shown
        assert stage.worst[0].id in shown
        for field in stage.fields:
            if field.critical:
                assert any(line.startswith(field.field) for line in shown.splitlines())
    assert "(dry run)" in shown
    assert "<script>" in shown and "\u202e" not in shown  # shown as it is, but turns nothing


@pytest.mark.slow
def test_since_narrows_the_figures_and_not_the_verdict(state: Path) -> None:
    filled_store(state, history(days=20))
    env = {"DRAPTO_STATE_DIR": str(state)}

    def first(*arguments: str) -> dict[str, Any]:
        shown, _ = shadow("report", "--format", "json", "--stage", "detection", *arguments, **env)
        (stage,) = json.loads(shown)["stages"]
        return dict(stage)

    whole, part = first(), first("--since", "5d")
    assert 0 < part["comparisons"] < whole["comparisons"] / 3
    assert part["verdict"] == whole["verdict"]
    assert first("--since", "2100-01-01")["comparisons"] == 0


def test_report_is_written_in_the_format_of_the_file_name(state: Path, here: Path) -> None:
    filled_store(state, history(60))
    env = {"DRAPTO_STATE_DIR": str(state)}
    assert shadow("report", "-o", here / "r.html", **env)[0] == ""
    shadow("report", "-o", here / "r.json", **env)
    shadow("report", "-o", here / "r.txt", **env)
    assert (here / "r.html").read_text().startswith("<!doctype html>")
    assert len(json.loads((here / "r.json").read_text())["stages"]) == 3
    assert (here / "r.txt").read_text().startswith("stage ")


def test_empty_store_is_no_error_and_says_what_to_do(state: Path) -> None:
    shown, _ = shadow("report", DRAPTO_STATE_DIR=str(state))
    assert "Nothing has been compared yet" in shown
    assert "drapto shadow compare --keep FILE" in shown
    assert not state.exists()


def test_report_needs_no_ffmpeg(state: Path) -> None:
    shown, _ = shadow("report", DRAPTO_STATE_DIR=str(state), DRAPTO_FFMPEG="/nowhere/ffmpeg")
    assert "Nothing has been compared yet" in shown
