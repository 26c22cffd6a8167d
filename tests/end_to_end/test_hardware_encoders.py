"""Encoders of graphics cards, chosen, lost and replaced. The card is `tests/media/cards.py`: what
it is told is really encoded, and it fails where a test says so."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from drapto.core.manifest import Manifest
from tests.end_to_end.disturbing import (
    Ended,
    Event,
    beside,
    contents,
    encode,
    encode_here,
    work_dir,
)
from tests.end_to_end.program import drapto_here, events_of
from tests.media import hdr
from tests.media.cards import ABSENT, BROKEN, BUSY, Card

AUTO = ("--encoder", "auto", "--workers", "1")


@pytest.fixture
def card(tmp_path: Path) -> Card:
    folder = tmp_path / "card"
    folder.mkdir()
    return Card(folder)


def settled(ended: Ended) -> list[Event]:
    return [event for event in ended.events if event["event"] == "encoder_settled"]


def manifest_of(ended: Ended) -> Manifest:
    return Manifest.from_json(Path(ended.result["manifest"]).read_text())


def journal_of(output: Path) -> list[dict[str, object]]:
    (path,) = work_dir(output).rglob("journal.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def with_card(card: Card, *, stall_s: str = "60") -> dict[str, str]:
    return {"DRAPTO_FFMPEG": str(card.ffmpeg), "DRAPTO_STALL_S": stall_s}


def killed(film: Path, output: Path, card: Card) -> None:
    """An encode with `auto`, after its first segment."""

    def one_is_finished(event: Event) -> bool:
        return bool(event["event"] == "segment_finished")

    def kill(process: subprocess.Popen[str]) -> None:
        process.send_signal(signal.SIGKILL)

    ended = encode(film, output, *AUTO, when=one_is_finished, then=kill, **with_card(card))
    assert ended.acted


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        (("av1_nvenc", "av1_qsv"), "av1-nvenc"),
        pytest.param(("av1_amf", "av1_qsv"), "av1-qsv", marks=pytest.mark.slow),
        pytest.param(("av1_vaapi", "hevc_nvenc"), "av1-vaapi", marks=pytest.mark.slow),
        pytest.param(("av1_amf",), "av1-amf", marks=pytest.mark.slow),
    ],
)
def test_auto_takes_the_first_that_works(
    film: Path, output: Path, card: Card, there: tuple[str, ...], chosen: str
) -> None:
    card.is_there(*there)
    done = encode_here(film, output, *AUTO, **with_card(card))
    assert done.code == 0, done.stderr
    assert done.warnings == []
    (event,) = settled(done)
    assert (event["encoder"], event["reason"]) == (chosen, "the first that works here")
    assert [trial["problem"] for trial in event["tried"]] == [
        *[ABSENT] * (len(event["tried"]) - 1),
        "",
    ]
    assert manifest_of(done).settings.encoder == chosen
    ran = [run for run in card.runs if run.endswith("segment")]
    assert ran == [f"{chosen.replace('-', '_')} segment"] * done.result["segments"]


@pytest.mark.parametrize("fault", ["hang", pytest.param("frame", marks=pytest.mark.slow)])
def test_a_card_that_fails_its_trial_is_passed_over_with_its_own_words(
    film: Path, output: Path, card: Card, undisturbed: str, fault: str
) -> None:
    card.fails("av1_nvenc", trial=fault)  # type: ignore[arg-type]
    done = encode_here(film, output, *AUTO, "--keep-work", **with_card(card, stall_s="1"))
    assert done.code == 0, done.stderr
    (event,) = settled(done)
    assert event["encoder"] == "svt-av1"
    assert event["reason"] == (
        "because none of these works here: av1-nvenc, av1-qsv, av1-vaapi, av1-amf"
    )
    first = event["tried"][0]
    words = {
        "hang": "stood still",
        "frame": BROKEN,
    }
    assert words[fault] in first["problem"]
    assert contents(output) == undisturbed
    (log,) = work_dir(output).rglob("log.jsonl")
    assert ABSENT in log.read_text()


def test_one_line_says_which_encoder_it_came_to(film: Path, output: Path, card: Card) -> None:
    done = drapto_here("encode", film, output, "--dry-run", *AUTO, **with_card(card))
    said = [line for line in (done.stdout + done.stderr).splitlines() if "encoder:" in line]
    assert said == [
        "encoder: svt-av1, because none of these works here: av1-nvenc, av1-qsv, av1-vaapi, av1-amf"
    ]


@pytest.mark.parametrize(
    ("fault", "after"),
    [
        pytest.param("open", 0, marks=pytest.mark.slow),
        pytest.param("frame", 2, marks=pytest.mark.slow),
        ("hang", 1),
    ],
)
def test_a_card_that_fails_in_the_middle_loses_all_of_the_film(
    film: Path, output: Path, card: Card, undisturbed: str, fault: str, after: int
) -> None:
    card.fails("av1_nvenc", fault, after=after)  # type: ignore[arg-type]
    done = encode_here(film, output, *AUTO, "--keep-work", **with_card(card, stall_s="1"))
    assert done.code == 0, done.stderr
    assert contents(output) == undisturbed
    assert manifest_of(done).settings.encoder == "svt-av1"
    assert [event["encoder"] for event in settled(done)] == ["av1-nvenc", "svt-av1"]
    replaced = settled(done)[1]
    assert replaced["instead_of"] == "av1-nvenc"
    assert replaced["tried"][0]["encoder"] == "av1-nvenc"
    if fault == "frame":
        assert BROKEN in replaced["tried"][0]["said"]
    assert done.warnings == [
        "av1-nvenc failed in the middle of the film, so svt-av1 encodes all of it again: segments "
        "of two encoders make no valid stream. The log has what it said."
    ]
    plans = [event["encoder"] for event in done.events if event["event"] == "plan_ready"]
    assert plans == ["av1-nvenc", "svt-av1"]
    journal = journal_of(output)
    given_up = [entry for entry in journal if entry["entry"] == "discarded"]
    assert len(given_up) == after
    assert {entry["reason"] for entry in given_up} <= {
        "av1-nvenc failed, and segments of two encoders do not fit"
    }
    chosen = [entry["encoder"] for entry in journal if entry["entry"] == "encoder_chosen"]
    assert chosen == ["av1-nvenc", "svt-av1"]


def test_time_of_an_encoder_that_fails_belongs_to_the_stage(
    film: Path, output: Path, card: Card
) -> None:
    card.fails("av1_nvenc", "hang", after=1)
    stall_s = 1.0
    done = encode_here(film, output, *AUTO, **with_card(card, stall_s=str(stall_s)))
    assert done.code == 0, done.stderr
    stage = [event for event in done.events if event.get("stage") == "encoding"]
    assert [event["event"] for event in stage] == ["stage_started", "stage_finished"]
    segments = [event for event in done.events if event["event"] == "segment_finished"]
    assert len(segments) == done.result["segments"] + 1
    hung_s = 2 * stall_s  # in both attempts
    assert stage[1]["wall_s"] > hung_s + sum(event["wall_s"] for event in segments)
    (kept,) = [time for time in manifest_of(done).stages if time.stage == "encoding"]
    assert kept.wall_s == pytest.approx(stage[1]["wall_s"])


@pytest.mark.slow
def test_a_card_that_fails_while_the_film_is_still_being_analysed_is_replaced_in_the_end(
    film: Path, output: Path, card: Card
) -> None:
    """Short segments are encoded before the analysis is done."""
    card.fails("av1_nvenc", "frame", after=1)
    short = {**with_card(card), "DRAPTO_MAX_SEGMENT_S": "1.5"}
    done = encode_here(film, output, *AUTO, **short)
    assert done.code == 0, done.stderr
    began = [event.get("stage") or event["event"] for event in done.events]
    assert began.index("encoding") < began.index("plan_ready")
    assert [event["encoder"] for event in settled(done)] == ["av1-nvenc", "svt-av1"]
    encoders = {event["encoder"] for event in done.events if event["event"] == "plan_ready"}
    assert encoders == {"av1-nvenc", "svt-av1"}
    assert manifest_of(done).settings.encoder == "svt-av1"
    assert done.result["resumed_segments"] == 0


def test_colours_arrive_though_the_card_knows_none(
    output: Path, card: Card, tmp_path: Path
) -> None:
    """The stand-in is not told of them; the rows of the manifest compare every tag, the chroma
    location and the HDR metadata with the source's."""
    card.is_there("av1_nvenc")
    source = hdr.hdr10_plus(tmp_path)
    done = encode_here(source, output, *AUTO, **with_card(card))
    assert done.code == 0, done.stderr
    rows = {row.check: row for row in manifest_of(done).rows}
    assert rows["color_transfer"].actual == "smpte2084"
    assert rows["color_chroma_location"].actual == "topleft"
    assert rows["mastering_display"].outcome == "pass"


def test_a_source_that_no_encoder_can_do_is_not_put_down_to_the_card(
    film: Path, output: Path, card: Card
) -> None:
    card.fails("av1_nvenc", "frame")
    card.fails("libsvtav1", "open")
    done = encode_here(film, output, *AUTO, **with_card(card))
    assert done.code == 1
    assert [event["encoder"] for event in settled(done)] == ["av1-nvenc", "svt-av1"]
    failed = done.events[-1]
    assert (failed["error"], failed["message"][:8]) == ("SegmentFailedError", "Segment ")
    assert "If the source is damaged there" in failed["hint"]


@pytest.mark.slow
def test_the_next_card_goes_on_before_the_processor_does(
    film: Path, output: Path, card: Card
) -> None:
    card.is_there("av1_amf")
    card.fails("av1_nvenc", "frame", after=1)
    done = encode_here(film, output, *AUTO, **with_card(card))
    assert done.code == 0, done.stderr
    assert [event["encoder"] for event in settled(done)] == ["av1-nvenc", "av1-amf"]
    assert manifest_of(done).settings.encoder == "av1-amf"


def test_an_encoder_asked_for_by_name_that_is_not_there_is_a_missing_tool(
    film: Path, output: Path, card: Card
) -> None:
    done = encode_here(film, output, "--encoder", "av1_nvenc", **with_card(card))
    assert done.code == 4
    failed = done.events[-1]
    assert failed["event"] == "job_failed"
    assert failed["message"] == (f"The encoder av1-nvenc does not work on this machine: {ABSENT}.")
    assert "--encoder auto" in failed["hint"]
    assert beside(output) == []


def test_an_encoder_asked_for_by_name_is_never_replaced(
    film: Path, output: Path, card: Card
) -> None:
    card.fails("av1_nvenc", "frame", after=2)
    named = ("--encoder", "av1-nvenc", "--workers", "1")
    done = encode_here(film, output, *named, **with_card(card))
    assert done.code == 1
    failed = done.events[-1]
    assert failed["message"].startswith("The encoder av1-nvenc failed. Segment ")
    assert BROKEN in failed["message"]
    assert "--encoder auto" in failed["hint"]
    assert failed["resumable"]
    card.is_there("av1_nvenc")
    again = encode_here(film, output, *named, **with_card(card))
    assert again.code == 0, again.stderr
    assert again.result["resumed_segments"] == 2


def test_a_killed_job_goes_on_with_the_encoder_it_began_with_or_says_that_it_is_gone(
    film: Path, output: Path, card: Card
) -> None:
    card.is_there("av1_qsv")

    killed(film, output, card)
    card.is_there("av1_nvenc")
    gone = encode_here(film, output, *AUTO, **with_card(card))
    assert gone.code == 4
    assert gone.events[-1]["message"].startswith("This job was begun with av1-qsv, of which ")
    assert ABSENT in gone.events[-1]["message"]
    assert "--no-resume" in gone.events[-1]["hint"]
    card.is_there("av1_nvenc", "av1_qsv")
    done = encode_here(film, output, *AUTO, **with_card(card))
    assert done.code == 0, done.stderr
    assert done.result["resumed_segments"] >= 1
    assert manifest_of(done).settings.encoder == "av1-qsv"
    assert not [run for run in card.runs if run == "av1_nvenc segment"]


@pytest.mark.slow
def test_a_killed_job_whose_card_is_busy_says_that_it_can_go_on_later(
    film: Path, output: Path, card: Card
) -> None:
    card.is_there("av1_nvenc")
    killed(film, output, card)
    card.fails("av1_nvenc", trial="busy")
    busy = encode_here(film, output, *AUTO, **with_card(card))
    assert busy.code == 1
    said = busy.events[-1]
    assert said["message"].startswith("This job was begun with av1-nvenc, of which ")
    assert f"The encoder av1-nvenc cannot be used now: it is busy ({BUSY})." in said["message"]
    assert said["hint"].startswith("Wait until ") and "--no-resume" in said["hint"]
    assert said["resumable"]
    card.is_there("av1_nvenc")
    done = encode_here(film, output, *AUTO, **with_card(card))
    assert done.code == 0, done.stderr
    assert done.result["resumed_segments"] >= 1
    assert manifest_of(done).settings.encoder == "av1-nvenc"


def test_estimate_and_dry_run_come_to_the_same_encoder(
    film: Path, output: Path, card: Card
) -> None:
    card.is_there("av1_qsv")
    done = drapto_here("encode", film, output, "--dry-run", "--json", *AUTO, **with_card(card))
    (plan,) = [event for event in events_of(done) if event["event"] == "plan_ready"]
    assert plan["encoder"] == "av1-qsv"
    commands = [e["command"] for e in events_of(done) if e["event"] == "command_planned"]
    assert any("av1_qsv" in command for command in commands)
    options = ("--encoder", "auto", "--crf", "50", "--preset", "13", "--json")
    found = drapto_here("estimate", film, *options, **with_card(card))
    assert found.returncode == 0, found.stderr
    assert '"encoder": "av1-qsv"' in found.stdout


@pytest.mark.slow
def test_a_card_is_steered_to_a_target_though_its_crf_means_something_else(
    film: Path, output: Path, card: Card
) -> None:
    """Its numbers are those of SVT-AV1 that are 10 higher."""
    card.is_there("av1_nvenc", offset=10.0)
    state = output.parent.parent / "state"
    settings = {**with_card(card), "DRAPTO_STATE_DIR": str(state), "DRAPTO_MAX_SEGMENT_S": "1"}
    options = ("--preset", "13", "--target-vmaf", "90", "--max-extra", "1", "--json")
    done = drapto_here("encode", film, output, *options, *AUTO, **settings)
    assert done.returncode == 0, done.stderr
    finished = events_of(done)[-1]["result"]
    manifest = Manifest.from_json(Path(finished["manifest"]).read_text())
    assert manifest.settings.encoder == "av1-nvenc"
    assert manifest.quality is not None
    # Test patterns are like no film, as in test_target_quality.
    assert manifest.quality.film.mean == pytest.approx(90.0, abs=2.0)
    assert len({segment.crf for segment in manifest.segments}) > 1
    (learnt,) = (state / "films").iterdir()
    assert json.loads(learnt.read_text())["encoder"] == "av1-nvenc"


@pytest.mark.gpu
@pytest.mark.parametrize("encoder", ["av1-nvenc", "hevc-nvenc"])
def test_a_real_card_encodes_a_film(film: Path, output: Path, encoder: str) -> None:
    """The manifest has compared every frame's time, the pictures and the tags."""
    done = encode_here(film, output, "--encoder", encoder)
    if done.code == 4:
        pytest.skip(done.events[-1]["message"])
    assert done.code == 0, done.stderr
    assert manifest_of(done).settings.encoder == encoder
