"""The packaged scripts, run as a person runs them: no Drapto around them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drapto.core.media import TrackKind
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from drapto.infrastructure.ffmpeg.decode import decode_segment
from drapto.infrastructure.ffmpeg.probe import probe_file
from drapto.services.legacy.contract import PACKAGED_SCRIPTS
from tests.legacy import needs_tools
from tests.media import clips, film, tracks
from tests.media.clips import ffmpeg

pytestmark = needs_tools

SCRIPTS = sorted(PACKAGED_SCRIPTS.glob("*.sh"))


def run(
    script: str, *arguments: str | Path, cwd: Path | None = None, **variables: str | Path
) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DRAPTO_")}
    own = {name: str(value) for name, value in variables.items()}
    return subprocess.run(
        ["bash", PACKAGED_SCRIPTS / f"{script}.sh", *arguments],
        env={**kept, "DRAPTO_FFMPEG": str(find_ffmpeg()), "DRAPTO_PRESET": "13", **own},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def printed(script: str, **variables: str | Path) -> dict[str, Any]:
    done = run(script, **variables)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs: apt-get install shellcheck")
def test_shellcheck_finds_nothing() -> None:
    assert len(SCRIPTS) == 8
    done = subprocess.run(
        ["shellcheck", "-x", "-P", PACKAGED_SCRIPTS, *SCRIPTS], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


async def test_whole_pipeline_keeps_every_track_whatever_the_files_are_called(
    tmp_path: Path,
) -> None:
    home = tmp_path / '-it\'s a "dir"\n %d @PIECE@ {}'
    home.mkdir()
    source = tracks.rich_tracks(tmp_path).rename(home / "-in 'q\"\n%03d.mkv")
    before = source.read_bytes()
    done = run("encode", source.name, "-out $HOME\n.mkv", cwd=home)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == 72
    assert source.read_bytes() == before
    assert len(list(home.iterdir())) == 2  # nothing is left beside the output
    old, new = probe_file(source), probe_file(home / "-out $HOME\n.mkv")
    assert [t.codec for t in new.of_kind(TrackKind.VIDEO)] == ["av1"]
    assert (await decode_segment(new.path)).frames == 72
    for kind in (TrackKind.AUDIO, TrackKind.SUBTITLE):
        told = [[(t.language, t.title) for t in media.of_kind(kind)] for media in (old, new)]
        assert told[0] == told[1] != []
    assert {t.codec for t in new.of_kind(TrackKind.AUDIO)} == {"opus"}
    assert [c.title for c in new.chapters] == [c.title for c in old.chapters] != []
    assert [a.sha256 for a in new.attachments] == [a.sha256 for a in old.attachments] != []
    assert [t.codec for t in new.cover_art] == [t.codec for t in old.cover_art] != []


def test_whole_pipeline_keeps_hdr10(tmp_path: Path) -> None:
    source = clips.hdr10(tmp_path)
    done = run("encode", source, tmp_path / "out.mkv")
    assert done.returncode == 0, done.stderr
    colors = [probe_file(path).tracks[0].color for path in (source, tmp_path / "out.mkv")]
    tags = [(c.primaries, c.transfer, c.matrix, c.range, c.content_light) for c in colors]
    assert tags[0] == tags[1]
    displays = [color.mastering_display for color in colors]
    assert displays[0] is not None and displays[1] is not None
    assert displays[1].red == pytest.approx(displays[0].red, abs=1e-4)


@pytest.mark.slow
def test_segments_are_encoded_by_xargs_where_there_is_no_parallel(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for folder in ("/usr/local/bin", "/usr/bin", "/bin"):
        for program in Path(folder).iterdir():
            if program.name != "parallel" and not (programs / program.name).exists():
                (programs / program.name).symlink_to(program)
    source = clips.silent(tmp_path, frames=24)
    done = run("encode", source, tmp_path / "out.mkv", PATH=programs)
    assert done.returncode == 0, done.stderr


def test_pictures_keep_their_times_where_the_rate_varies(tmp_path: Path) -> None:
    source = clips.vfr(tmp_path)
    assert run("encode", source, tmp_path / "out.mkv").returncode == 0
    times = [
        [pts - frames[0][0] for pts, _ in frames]
        for frames in map(clips.decoded_frames, (source, tmp_path / "out.mkv"))
    ]
    assert len(set(map(int, (b - a for a, b in zip(times[0], times[0][1:], strict=False))))) > 1
    assert max(abs(a - b) for a, b in zip(*times, strict=True)) <= 1  # ms, as Matroska rounds


def late_picture(directory: Path) -> Path:
    out = directory / "late_picture.mkv"
    video = ("-itsoffset", "0.6", *clips.pattern(48))
    ffmpeg(*video, *clips.tone(2.6), *clips.x264(), "-c:a", "flac", out)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("builder", [clips.ts, late_picture, tracks.late_audio])
def test_sound_and_picture_stay_together(builder: Callable[[Path], Path], tmp_path: Path) -> None:
    source = builder(tmp_path)
    assert run("encode", source, tmp_path / "out.mkv").returncode == 0

    def late_s(path: Path) -> float:
        """How much later than the picture the sound begins."""
        video, audio = probe_file(path).tracks
        assert video.start_s is not None and audio.start_s is not None
        return audio.start_s - video.start_s

    # Decoders drop the padding at the start of AAC and Opus, some 20 ms and 7 ms.
    assert late_s(tmp_path / "out.mkv") == pytest.approx(late_s(source), abs=0.022)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["in.mkv"], 2, "usage: encode.sh INPUT OUTPUT.mkv"),
        (["in.mkv", "out.mp4"], 2, "must end in .mkv"),
        (["in.mkv", "in.mkv"], 2, "exists already"),
        (["in.mkv", "nowhere/out.mkv"], 2, "cannot be written to"),
        (["gone.mkv", "out.mkv"], 3, "gone.mkv does not exist"),
        (["sound.m4a", "out.mkv"], 3, "there is no video"),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    arguments: list[str], code: int, said: str, tmp_path: Path
) -> None:
    clips.silent(tmp_path, "in.mkv", frames=5)
    clips.audio_only(tmp_path).rename(tmp_path / "sound.m4a")
    done = run("encode", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == ""
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv", "sound.m4a"}


@pytest.mark.parametrize("variable", ["DRAPTO_FFMPEG", "DRAPTO_FFPROBE", "DRAPTO_MEDIAINFO"])
def test_missing_program_is_named_with_the_line_that_installs_it(
    variable: str, tmp_path: Path
) -> None:
    source = clips.silent(tmp_path, frames=5)
    done = run("encode", source, tmp_path / "out.mkv", **{variable: "/nowhere/tool"})
    assert done.returncode == 4
    assert "/nowhere/tool" in done.stderr
    assert "apt-get install ffmpeg mediainfo parallel" in done.stderr


def test_output_that_lost_something_does_not_pass(tmp_path: Path) -> None:
    source = clips.simple(tmp_path, frames=48)
    short = tmp_path / "short.mkv"
    codec = ("-c:v", "libsvtav1", "-preset", "12")
    ffmpeg("-i", source, "-map", "0:v", "-frames:v", "40", *codec, short)
    done = run("validate", DRAPTO_INPUT=source, DRAPTO_OUTPUT=short)
    assert done.returncode == 5
    problems = json.loads(done.stdout)["problems"]
    assert any("40 frames instead of 48" in problem for problem in problems)
    assert any("0 streams of kind audio instead of 1" in problem for problem in problems)


async def test_pieces_of_open_gops_decode_whole(tmp_path: Path) -> None:
    source = clips.open_gop(tmp_path, frames=400)  # more than 15 s: there is a place to cut
    pieces = tmp_path / "pieces"
    pieces.mkdir()
    found = printed("segment", DRAPTO_INPUT=source, DRAPTO_OUTPUT_DIR=pieces)["segments"]
    assert sum(piece["frames"] for piece in found) == 400
    for piece in found:
        assert (await decode_segment(pieces / piece["path"])).frames == piece["frames"]


async def test_long_films_are_cut_at_key_frames(tmp_path: Path) -> None:
    source = clips.silent(tmp_path, frames=800)
    pieces = tmp_path / "pieces"
    pieces.mkdir()
    found = printed("segment", DRAPTO_INPUT=source, DRAPTO_OUTPUT_DIR=pieces)["segments"]
    assert [piece["frames"] for piece in found] == [360, 360, 80]
    for piece in found:
        assert (await decode_segment(pieces / piece["path"])).frames == piece["frames"]


@pytest.mark.parametrize(
    ("layout", "channels", "kbps"),
    [
        ("mono", 1, 64), ("stereo", 2, 128), ("5.1(side)", 6, 256), ("7.1", 8, 384),
        ("2.1", 6, 144), ("quad(side)", 4, 192), ("7.1(wide)", 8, 384),
    ],
)  # fmt: skip
def test_audio_becomes_opus_without_losing_a_channel(
    layout: str, channels: int, kbps: int, tmp_path: Path
) -> None:
    source = tmp_path / "in.mkv"
    ffmpeg(*clips.pattern(12), *clips.tone(0.5, channels=layout), *clips.x264(), "-c:a", "flac"
           if layout != "7.1(wide)" else "pcm_s16le", source)  # fmt: skip
    found = printed("audio", DRAPTO_INPUT=source, DRAPTO_OUTPUT=tmp_path / "audio.mka")
    assert [track["kbps"] for track in found["tracks"]] == [kbps]
    (track,) = probe_file(tmp_path / "audio.mka").tracks
    assert (track.codec, track.channels) == ("opus", channels)


@pytest.mark.parametrize(("barred", "crop"), [(20, None), (80, "192:80:0:14")])
def test_crop_needs_the_majority_of_the_film(barred: int, crop: str | None, tmp_path: Path) -> None:
    whole = film.shot(1, 100)
    bars = film.letterbox(whole[:barred], top=14, bottom=14)
    source = film.write_film(tmp_path / "a.mkv", film.film(bars, whole[barred:]))
    assert printed("detect", DRAPTO_INPUT=source)["crop"] == crop


def test_crop_is_left_alone_where_every_shot_says_another(tmp_path: Path) -> None:
    shots = [film.letterbox(film.shot(n, 10), top=2 * n, bottom=2 * n) for n in range(1, 11)]
    source = film.write_film(tmp_path / "a.mkv", film.film(*shots))
    assert printed("detect", DRAPTO_INPUT=source)["crop"] is None


def segment_of(source: Path, **variables: str | Path) -> dict[str, Any]:
    output = source.with_name("segment.mkv")
    return printed("encode_segment", DRAPTO_INPUT=source, DRAPTO_OUTPUT=output, **variables)


@pytest.mark.parametrize(("width", "crf"), [(1280, 25), (1920, 25), (1922, 29)])
def test_quality_follows_the_width(width: int, crf: int, tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    ffmpeg(*clips.pattern(1, size=f"{width}x64"), *clips.x264(), source)
    assert segment_of(source) == {"frames": 1, "crf": crf, "deinterlaced": False}


def test_search_reaches_the_vmaf_that_was_asked_for(tmp_path: Path) -> None:
    source = clips.silent(tmp_path, frames=24)
    done = run(
        "encode_segment",
        DRAPTO_INPUT=source,
        DRAPTO_OUTPUT=tmp_path / "out.mkv",
        DRAPTO_VMAF_TARGET="93",
    )
    assert done.returncode == 0, done.stderr
    crf = json.loads(done.stdout)["crf"]
    scores = {
        int(line.split()[2]): float(line.split()[-1])
        for line in done.stderr.splitlines()
        if "gives VMAF" in line
    }
    assert scores[crf] >= 93
    assert all(score < 93 for tried, score in scores.items() if tried > crf)
    assert [path.name for path in tmp_path.iterdir() if "search" in path.name] == []


AB_AV1 = """\
#!/bin/sh
# Stands in for ab-av1, which no package registry of Debian or Python has: the last try succeeds.
printf '%s\\n' "$*" >>"$TRIES"
case "$*" in *'--min-vmaf 91 '*) echo 'crf 33 VMAF 91.20 predicted video stream size 1 MiB' ;;
*) echo 'Error: Failed to find a suitable crf' >&2; exit 1 ;; esac
"""


def test_ab_av1_searches_in_three_tries_where_it_is_installed(tmp_path: Path) -> None:
    programs, tries = tmp_path / "bin", tmp_path / "tries"
    programs.mkdir()
    (programs / "ab-av1").write_text(AB_AV1)
    (programs / "ab-av1").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    source = clips.silent(tmp_path, frames=24)
    found = segment_of(source, DRAPTO_VMAF_TARGET="93", PATH=path, TRIES=tries)
    assert found["crf"] == 33
    said = tries.read_text().splitlines()
    wanted = [("93", "3", "1s"), ("93", "6", "2s"), ("91", "6", "2s")]
    for line, (target, samples, length) in zip(said, wanted, strict=True):
        assert f"--min-vmaf {target} --samples {samples} --sample-duration {length} " in line
        assert "--vmaf n_subsample=8 --vmaf pool=harmonic_mean" in line
        assert "--svt tune=0 --svt film-grain=0 --svt film-grain-denoise=0" in line
    tries.unlink()
    vision = {"DRAPTO_DYNAMIC_RANGE": "dolby_vision", "DRAPTO_CRF": "40"}
    assert segment_of(source, DRAPTO_VMAF_TARGET="93", PATH=path, TRIES=tries, **vision) == {
        "frames": 24,
        "crf": 40,
        "deinterlaced": False,
    }
    assert not tries.exists()


def test_target_out_of_reach_leaves_the_plain_quality_and_says_so(tmp_path: Path) -> None:
    source = clips.silent(tmp_path, frames=5)
    done = run(
        "encode_segment",
        DRAPTO_INPUT=source,
        DRAPTO_OUTPUT=tmp_path / "out.mkv",
        DRAPTO_VMAF_TARGET="103",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["crf"] == 25
    assert "no CRF reaches VMAF 103" in done.stderr
