"""Sound that is damaged costs the sound that is damaged, not the film, and it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drapto.infrastructure.ffmpeg.probe import probe_file
from tests.end_to_end.program import drapto_here
from tests.media import clips
from tests.media.odd import undecodable_sound
from tests.media.restamped import restamped
from tests.media.sound import beeping, beeps_s

OPTIONS = ("--preset", "12", "--crf", "50")
HOURS_MS = 9 * 3_600_000


def manifest_of(state: Path) -> dict[str, Any]:
    (path,) = (state / "manifests").iterdir()
    return dict(json.loads(path.read_text()))


def encode(source: Path, output: Path, *options: str) -> tuple[int, str, dict[str, Any]]:
    """Exit code, what was said, and the manifest (empty if there is none)."""
    state = output.parent / "state"
    done = drapto_here("encode", source, output, *OPTIONS, *options, DRAPTO_STATE_DIR=str(state))
    kept = manifest_of(state) if done.returncode == 0 else {}
    return done.returncode, done.stdout + done.stderr, kept


@pytest.mark.parametrize("audio", ["opus", "copy"])
@pytest.mark.parametrize("last", [71, 1000], ids=["one packet", "the rest"])
def test_leap_of_hours_is_mended_and_named(last: int, audio: str, tmp_path: Path) -> None:
    whole = beeping(tmp_path, "whole.mkv")
    leap = range(70, last)
    source = restamped(whole, tmp_path / "in.mkv", lambda n, at_ms: at_ms + HOURS_MS * (n in leap))
    output = tmp_path / "out.mkv"
    code, said, manifest = encode(source, output, "--audio", audio)
    assert code == 0, said
    assert beeps_s(output) == pytest.approx(beeps_s(whole), abs=0.025)
    assert (probe_file(output).duration_s or 0) < 3.1
    (row,) = (row for row in manifest["rows"] if row["check"] == "audio_leap")
    assert row["outcome"] == "named"
    assert (row["expected"].split()[-2], row["actual"]) == ("32401.472000", "placed at 1.472000 s")
    assert "1 leap in its timestamps mended" in manifest["tracks"][1]["detail"]
    assert "1 leap in its timestamps mended" in said


@pytest.mark.parametrize("name", ["out.webm", "out.mp4"])
def test_sound_that_can_neither_be_encoded_nor_copied_is_dropped_and_named(
    name: str, tmp_path: Path
) -> None:
    output = tmp_path / name
    code, said, manifest = encode(undecodable_sound(tmp_path), output)
    assert code == 0, said
    assert "Audio track 1 is left out" in said
    assert [track.kind.value for track in probe_file(output).tracks] == ["video"]
    assert len(clips.decoded_frames(output)) == 24
    lost = manifest["tracks"][1]
    assert (lost["source_index"], lost["action"]) == (1, "dropped")
    assert "holds nothing that can be decoded" in lost["detail"]
    (row,) = (row for row in manifest["rows"] if row["check"] == "track_dropped")
    assert (row["outcome"], row["note"]) == ("named", lost["detail"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out.webm", "out.mp4"])
def test_losing_a_track_is_refused_with_strict_tracks(name: str, tmp_path: Path) -> None:
    output = tmp_path / name
    code, said, _ = encode(undecodable_sound(tmp_path), output, "--strict-tracks")
    assert code == 3, said
    assert "would lose audio track 1" in said.replace("\n", " ")
    assert not output.exists()


@pytest.mark.slow
def test_sound_that_matroska_carries_as_it_is_stays_in_it(tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    code, said, manifest = encode(undecodable_sound(tmp_path), output, "--strict-tracks")
    assert code == 0, said
    assert manifest["tracks"][1]["action"] == "copied"
    assert [t.codec for t in probe_file(output).tracks] == ["av1", "aac"]
