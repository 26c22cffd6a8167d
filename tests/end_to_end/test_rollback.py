"""Falling back and rolling back, with the real program, real scripts and real faults."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from drapto.core.comparison import Outcome
from drapto.core.media import TrackKind
from drapto.core.routing import RoutedStage
from drapto.infrastructure.ffmpeg.probe import probe_file
from tests.end_to_end.program import environment
from tests.end_to_end.team import Encoded, Team, events_in
from tests.media import clips

DETECTION, SEGMENTATION, ENCODING = RoutedStage
GATED = '[stage.segmentation]\nmode = "legacy"\n'  # whose script waits at the gate


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


def until(process: subprocess.Popen[str], event: str) -> list[str]:
    """The lines of stdout up to the first such event."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if json.loads(line)["event"] == event:
            return lines
    raise AssertionError(f"it ended without {event}: {process.communicate()[1]}")


def ended(process: subprocess.Popen[str], said: list[str]) -> Encoded:
    out, err = process.communicate(timeout=120)
    return Encoded(process.returncode, err, events_in("".join(said) + out))


# Falling back


@pytest.mark.parametrize("stage", RoutedStage)
def test_legacy_serves_a_job_whose_new_stage_fails(team: Team, stage: RoutedStage) -> None:
    film = team.film()
    done = team.encode(film, **team.breaks(stage))
    assert done.code == 0, done.stderr
    (line,) = [said for said in done.warnings if f"The new {stage} failed" in said]
    assert "so the legacy scripts served this job" in line
    assert ("broken on this machine" in line) or ("knows no such option" in line)
    media = probe_file(team.home / "out 0" / film.name)
    assert media.of_kind(TrackKind.VIDEO)[0].codec == "av1"
    (served,) = team.served(stage)
    assert served.failed
    for other in set(RoutedStage) - {stage}:
        assert [s.failed for s in team.served(other)] == [False]
    stages = [e["served"]["stage"] for e in done.events if e["event"] == "stage_served"]
    assert stages == list(RoutedStage)


@pytest.mark.slow
@pytest.mark.parametrize("stage", RoutedStage)
def test_film_is_whole_where_encoding_had_begun_before_the_failure(
    team: Team, stage: RoutedStage
) -> None:
    """Segments are handed out while detection runs; legacy then sees the film in another way."""
    (team.home / "films").mkdir()
    film, _ = clips.with_cuts(team.home / "films", scenes=(*clips.SCENES, *clips.SCENES[::-1]))
    short = {"DRAPTO_MIN_SEGMENT_S": "0.25", "DRAPTO_MAX_SEGMENT_S": "0.5"}
    done = team.encode(film, options=("--keep-work",), **team.breaks(stage, late=True), **short)
    assert done.code == 0, done.stderr
    (work,) = (team.home / "out 0").glob(".*.drapto")
    journal = [json.loads(line) for line in (work / "journal.jsonl").read_text().splitlines()]
    entries = [entry["entry"] for entry in journal]
    assert entries.index("segments_added") < entries.index("analysis_done")
    output = clips.decoded_frames(team.home / "out 0" / f"{film.stem}.mkv")
    assert [pts for pts, _ in output] == [pts for pts, _ in clips.decoded_frames(film)]
    assert [served.failed for served in team.served(stage)] == [True]
    assert len([said for said in done.warnings if f"The new {stage} failed" in said]) == 1
    if stage is not ENCODING:  # what was begun by the plan of new was given up
        (encoded,) = team.served(ENCODING)
        assert (encoded.failed, encoded.frames) == (False, len(output))


def test_fault_of_both_sides_is_said_once_and_as_the_new_side_says_it(team: Team) -> None:
    (team.home / "our scripts" / "encode_segment").write_text("#!/bin/sh\nexit 1\n")
    done = team.encode(team.film(), **team.breaks(ENCODING))
    assert done.code == 1
    (failed,) = [event for event in done.events if event["event"] == "job_failed"]
    assert "knows no such option" in failed["message"]
    assert done.warnings == []
    assert list((team.home / "out 0").iterdir()) == []


# Rolling back


@pytest.mark.slow
def test_third_failure_in_a_row_sends_the_rest_to_legacy_until_somebody_resets(
    team: Team,
) -> None:
    broken = team.breaks(ENCODING)
    batch = team.encode(*team.films(4), **broken)
    assert batch.code == 0, batch.stderr
    assert batch.sides(ENCODING) == ["new", "new", "new", "legacy"]
    (said,) = [event for event in batch.events if event["event"] == "stage_rolled_back"]
    assert (said["stage"], said["problem"]) == ("encoding", "")
    assert said["why"] == "New failed 3 times in a row; 3 are the limit."
    assert "`drapto flags reset encoding`" in batch.routes(ENCODING)[-1]["reason"]

    later = team.encode(team.film(), **broken)  # after a restart
    assert later.routes(ENCODING)[0]["mode"] == "rolled_back"
    assert later.warnings == []

    assert "rolled_back" in team.run("flags", "list").stdout
    assert team.run("flags", "reset", "encoding").returncode == 0
    again = team.encode(*team.films(2), **broken)  # what was before counts no more
    assert again.sides(ENCODING) == ["new", "new"]
    assert not [event for event in again.events if event["event"] == "stage_rolled_back"]
    third = team.encode(team.film(), **broken)
    assert [event["event"] for event in third.events].count("stage_rolled_back") == 1

    team.flags('[stage.encoding]\ncandidate_revision = "2"\n')
    mended = team.encode(team.film())
    assert mended.sides(ENCODING) == ["new"]
    assert mended.warnings == []


def test_rollback_holds_for_the_next_job_of_another_running_process(team: Team) -> None:
    team.flags(GATED)
    team.close_gate()
    with team.begin(*team.films(2)) as running:
        said = until(running, "stage_served")  # by detection: the next is the script at the gate
        new = ("--route", "segmentation=new")
        elsewhere = team.encode(*team.films(3), options=new, **team.breaks(ENCODING))
        assert elsewhere.code == 0, elsewhere.stderr
        assert [e["event"] for e in elsewhere.events].count("stage_rolled_back") == 1
        team.open_gate()
        done = ended(running, said)
    assert done.code == 0, done.stderr
    assert done.sides(ENCODING) == ["new", "legacy"]
    assert done.routes(ENCODING)[1]["mode"] == "rolled_back"


@pytest.mark.slow
def test_disabled_stage_is_legacys_from_the_next_job_on(team: Team) -> None:
    team.flags(GATED)
    team.close_gate()
    with team.begin(*team.films(2)) as running:
        said = until(running, "stage_served")
        assert team.run("flags", "disable", "encoding", "--why", "It flickers").returncode == 0
        team.open_gate()
        done = ended(running, said)
    assert done.sides(ENCODING) == ["new", "legacy"]
    assert "It flickers" in done.routes(ENCODING)[1]["reason"]
    asked = team.encode(team.film(), options=("--route", "encoding=new"))
    assert asked.sides(ENCODING) == ["legacy"]  # a rollback goes before --route


def test_critical_difference_in_canary_rolls_the_stage_back(team: Team) -> None:
    """The team's script sees no bars; new crops them, which may take picture away."""
    team.flags('[stage.detection]\nmode = "canary"\npercent = 100\nshadow = { aa_sample = 0 }\n')
    film = clips.letterboxed(team.home, frames=24)
    done = team.encode(film)
    assert done.code == 0, done.stderr
    assert done.sides(DETECTION) == ["new"]
    (comparison,) = team.compared(DETECTION)
    assert comparison.outcome is Outcome.CRITICAL
    assert "detection goes back to legacy" in " ".join(done.warnings)
    assert comparison.id in team.run("flags", "history").stdout
    assert team.encode(film).sides(DETECTION) == ["legacy"]


def test_interrupted_job_goes_on_with_the_side_it_began_with_and_says_so(team: Team) -> None:
    team.flags(GATED)
    team.close_gate()
    with team.begin(team.film(), options=("--keep-work",)) as process:
        said = until(process, "stage_served")
        process.terminate()
        assert ended(process, said).code == 130
    team.gate.unlink()
    team.flags("kill_switch = true\n")
    again = subprocess.run(
        process.args, capture_output=True, text=True, check=False, cwd=team.home,
        env=environment(**team.env),
    )  # fmt: skip
    done = Encoded(again.returncode, again.stderr, events_in(again.stdout))
    assert done.code == 0, done.stderr
    assert [done.sides(stage) for stage in RoutedStage] == [["new"], ["legacy"], ["new"]]
    told = [line for line in done.warnings if "goes on with the new" in line]
    assert [line.split()[7] for line in told] == ["detection,", "encoding,"]


# The flags file


def test_kill_switch_sends_everything_to_legacy_at_the_next_job(team: Team) -> None:
    team.flags(GATED)
    team.close_gate()
    with team.begin(*team.films(2)) as running:
        said = until(running, "stage_served")
        team.flags(f"kill_switch = true\n{GATED}")
        team.open_gate()
        done = ended(running, said)
    assert done.code == 0, done.stderr
    first, second = ([done.sides(stage)[n] for stage in RoutedStage] for n in (0, 1))
    assert first == ["new", "legacy", "new"]
    assert second == ["legacy"] * 3
    assert "kill switch" in done.routes(ENCODING)[1]["reason"]


def test_flags_file_that_breaks_under_a_batch_changes_nothing_and_is_told_once(
    team: Team,
) -> None:
    team.flags(GATED)
    team.close_gate()
    with team.begin(*team.films(3)) as running:
        said = until(running, "stage_served")
        team.flags('kill_switch = true\n[stage.detection]\nmode = "legcay"\n')
        team.open_gate()
        done = ended(running, said)
    assert done.code == 0, done.stderr
    assert done.sides(SEGMENTATION) == ["legacy"] * 3
    assert done.sides(ENCODING) == ["new"] * 3
    (warning,) = done.warnings
    assert "flags.toml, line 4" in warning
    assert "Did you mean 'legacy'?" in warning


@pytest.mark.parametrize("films", [1, 2])
def test_flags_file_that_is_broken_at_the_start_is_a_usage_error(team: Team, films: int) -> None:
    team.flags("kil_switch = true\n")
    done = team.encode(*team.films(films))
    assert done.code == 2
    assert done.stderr.count("flags.toml, line 2") == 1
    assert "Did you mean 'kill_switch'?" in done.stderr
    (failed,) = done.events
    assert (failed["event"], failed["exit_code"]) == ("job_failed", 2)


@pytest.mark.slow
def test_route_holds_for_one_run_and_a_rule_asks_for_the_priority(team: Team) -> None:
    team.flags('[stage.encoding]\nrules = [{ when = { priority = "high" }, mode = "legacy" }]\n')
    plan = ("--dry-run",)
    assert team.encode(team.film(), options=plan).sides(ENCODING) == ["new"]
    high = team.encode(team.film(), options=(*plan, "--priority", "high"))
    assert high.sides(ENCODING) == ["legacy"]
    assert "Rule 1 (priority high)" in high.routes(ENCODING)[0]["reason"]
    asked = (*plan, "--priority", "high", "--route", "encoding=new", "--route", "detection=legacy")
    once = team.encode(team.film(), options=asked)
    assert (once.sides(ENCODING), once.sides(DETECTION)) == (["new"], ["legacy"])
    assert not (team.home / "state" / "shadow.sqlite3").exists()  # a plan is no job


def test_plan_and_summary_name_the_stages_that_legacy_serves_and_no_other(team: Team) -> None:
    team.flags('[stage.detection]\nmode = "shadow"\nshadow = { sample = 0.0, aa_sample = 0.0 }\n')
    line = "detection: legacy. The flag of detection says shadow."
    plan = team.run("encode", team.film(), team.home / "out.mkv", "--dry-run")
    assert line in plan.stdout
    assert "encoding: " not in plan.stdout.partition("plan:")[2].partition("ffmpeg")[0]
    done = team.run("encode", team.film(), team.home / "out.mkv", "--preset", "13")
    assert done.stdout.count(line) == 2  # in the plan and in the summary
    team.flags("")
    quiet = team.run("encode", team.film(), team.home / "out.mkv", "--dry-run", "--overwrite")
    assert "legacy" not in quiet.stdout


@pytest.mark.slow
def test_plan_shows_no_command_of_an_encoder_that_will_not_run(team: Team) -> None:
    plan = team.encode(team.film(), options=("--dry-run",))
    assert [e["stage"] for e in plan.events if e["event"] == "command_planned"] == ["encoding"]
    team.flags('[stage.encoding]\nmode = "legacy"\n')
    plan = team.encode(team.film(), options=("--dry-run",))
    assert plan.sides(ENCODING) == ["legacy"]
    assert [event for event in plan.events if event["event"] == "command_planned"] == []


def test_analysis_says_that_legacy_made_it_and_counts_for_nothing(team: Team) -> None:
    done = team.run("analyze", team.film(), **team.breaks(DETECTION))
    assert done.returncode == 0, done.stderr
    assert "The new detection failed, so the legacy scripts served" in done.stdout
    assert team.served(DETECTION) == []
