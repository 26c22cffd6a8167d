"""Tried on excerpts, and compared with the encode of the whole track."""

from __future__ import annotations

from pathlib import Path

import imageio_ffmpeg
import pytest

from drapto.core.job import EncodeOptions
from drapto.core.media import MediaInfo
from drapto.core.tracks import Container, TrackPlan
from drapto.infrastructure.ffmpeg.audio import encode_audio
from drapto.infrastructure.ffmpeg.audio_trial import FfmpegAudioTrial
from drapto.infrastructure.ffmpeg.probe import main_video, probe_file
from drapto.services.assembly.service import plan_mux
from tests.media import clips

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
MUSIC = "sine=f=440:r=48000:d={d}[a];anoisesrc=r=48000:a=0.2:d={d}:seed=3[b];[a][b]amerge"
SILENCE = "anullsrc=r=48000:cl=stereo,atrim=end={d}"


def sounding(directory: Path, source: str, duration_s: float) -> tuple[MediaInfo, TrackPlan]:
    path = directory / "sound.mkv"
    sound = ("-f", "lavfi", "-i", source.format(d=duration_s))
    clips.ffmpeg(*clips.pattern(24), *sound, *clips.x264(), "-c:a", "aac", path)
    media = probe_file(path)
    mux = plan_mux(
        media, main_video(media), video_codec="av1", container=Container.MATROSKA,
        options=EncodeOptions(),
    )  # fmt: skip
    [plan] = mux.audio_encodings
    return media, plan


@pytest.mark.parametrize(("source", "duration_s"), [(MUSIC, 8.0), (MUSIC, 60.0), (SILENCE, 60.0)])
async def test_excerpts_tell_what_the_whole_track_takes(
    tmp_path: Path, source: str, duration_s: float
) -> None:
    media, plan = sounding(tmp_path, source, duration_s)
    whole = tmp_path / "whole.opus"
    await encode_audio(media, plan, whole, ffmpeg=FFMPEG)
    tried = await FfmpegAudioTrial(FFMPEG).bytes_per_s(media, plan, duration_s)
    assert tried * duration_s == pytest.approx(whole.stat().st_size, rel=0.1, abs=20_000)


async def test_what_cannot_be_decoded_is_taken_at_its_nominal_rate(tmp_path: Path) -> None:
    media, plan = sounding(tmp_path, MUSIC, 8.0)
    media.path.unlink()
    tried = await FfmpegAudioTrial(FFMPEG).bytes_per_s(media, plan, 8.0)
    assert plan.audio is not None
    assert tried == plan.audio.bit_rate / 8
