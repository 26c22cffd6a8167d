"""Which frames the ffmpeg program makes of a file, and when: what the encoders will get.

    pts = await decoded_times(video.path, video.stream_index, video.index.time_base)

Decoded from the beginning, on one thread, as encoders decode. Tests:
tests/services/encoding/test_damaged_source.py, tests/infrastructure/ffmpeg/test_frames.py.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from drapto.core.decoded_times import MOVED_APART
from drapto.core.opening import input_arguments
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from drapto.infrastructure.process import run_process
from drapto.infrastructure.stalling import STALL_S


async def decoded_times(
    path: Path, stream_index: int, time_base: Fraction, ffmpeg: Path | None = None
) -> list[int]:
    """The timestamp of every frame in display order, strictly increasing, in `time_base`.

    Errors: ProcessFailedError, MissingToolError.
    """
    found: list[int] = []

    def on_line(line: str) -> None:
        if not line.startswith("#"):  # stream, dts, pts, duration, size, checksum
            found.append(int(line.split(",")[2]))

    options = ["-copyts", "-noautorotate", "-threads", "1", "-reinit_filter", "0"]
    corner = "crop=2:2:0:0"  # the checksum of whole pictures would cost as much as decoding them
    clock = f"settb={time_base.numerator}/{time_base.denominator}"
    await run_process(
        [
            *(find_ffmpeg(ffmpeg), "-nostdin", "-hide_banner", "-v", "error"),
            *("-max_error_rate", "1"),
            *input_arguments(path, *options),
            *("-map", f"0:{stream_index}", "-vf", f"{MOVED_APART},{clock},{corner}"),
            *("-fps_mode", "passthrough", "-enc_time_base", "filter", "-f", "framecrc", "-"),
        ],
        what=f"Decoding {path}",
        stall_s=STALL_S,
        on_stdout_line=on_line,
    )
    return found
