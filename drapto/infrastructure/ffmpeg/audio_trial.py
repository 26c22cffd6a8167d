"""What a track takes as Opus, from a few seconds of it: quiet ones take far less than they may."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

from drapto.core.errors import ProcessFailedError
from drapto.core.media import MediaInfo
from drapto.core.opening import file_url, input_arguments
from drapto.core.tracks import AudioEncoding, TrackPlan
from drapto.infrastructure.ffmpeg.audio import codec_arguments, filter_graph
from drapto.infrastructure.process import run_process

PLACES = 4
EXCERPT_S = 5.0
_LEAST_BYTES = 1000  # the headers of an Ogg Opus file take 300 to 600


class FfmpegAudioTrial:
    """`core/estimate.py: AudioTrial`."""

    def __init__(self, ffmpeg: Path) -> None:
        self._ffmpeg = ffmpeg

    async def bytes_per_s(self, media: MediaInfo, plan: TrackPlan, duration_s: float) -> float:
        """The nominal rate where nothing of the excerpts can be decoded."""
        assert plan.audio is not None
        whole = duration_s <= PLACES * EXCERPT_S
        starts = [0.0] if whole else [(n + 0.5) * duration_s / PLACES for n in range(PLACES)]
        length_s = duration_s if whole else EXCERPT_S
        sizes = [await self._excerpt(media, plan, plan.audio, at, length_s) for at in starts]
        heard = [size for size in sizes if size >= _LEAST_BYTES]
        if not heard or length_s <= 0:
            return plan.audio.bit_rate / 8
        return sum(heard) / (len(heard) * length_s)

    async def _excerpt(
        self,
        media: MediaInfo,
        plan: TrackPlan,
        encoding: AudioEncoding,
        at_s: float,
        length_s: float,
    ) -> int:
        """Bytes of an Ogg Opus file; 0 if there is none."""
        seek = ("-ss", f"{at_s:.3f}", "-t", f"{length_s:.3f}")
        with tempfile.TemporaryDirectory(prefix="drapto-audio-") as directory:
            out = Path(directory) / "excerpt.opus"
            command = [
                *(str(self._ffmpeg), "-nostdin", "-hide_banner", "-v", "error"),
                *input_arguments(media.path, *seek),
                *("-map", f"0:{plan.source.index}", "-af", filter_graph(encoding, Fraction(0))),
                *codec_arguments(encoding),
                *("-f", "opus", "-y", file_url(out)),
            ]
            try:
                await run_process(command, what=f"Trying audio track {plan.source.index}")
                return out.stat().st_size
            except (ProcessFailedError, FileNotFoundError):
                return 0
