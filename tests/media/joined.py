"""MPEG-TS recordings joined as `cat` does it: every part shows a white flash and beeps at once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from drapto.infrastructure.ffmpeg.probe import probe_file
from tests.media import clips
from tests.media.clips import ffmpeg, x264
from tests.media.sound import RATE_HZ, beeps_s

FRAMES = 50  # of a part: 2 s at 25 fps
FLASH_S = 1.0
SIZE = (128, 72)
HOUR_S = 3600


def part(
    directory: Path,
    name: str = "part.ts",
    *,
    at_s: float = 0,
    bframes: int = 0,
    sound: tuple[str, ...] = ("-c:a", "aac"),
    sound_s: float = 2,
    options: tuple[str, ...] = (),
) -> Path:
    """2 s of black, the clock beginning about 1.4 s behind `at_s`; no `sound`: no audio track."""
    out = directory / name
    flash = f"drawbox=color=white:t=fill:enable='between(t,{FLASH_S},{FLASH_S + 0.1})'"
    black = f"color=black:s={SIZE[0]}x{SIZE[1]}:r=25:d=2,{flash}"
    beep = f"aevalsrc='if(between(t,{FLASH_S},{FLASH_S + 0.1}),0.8*sin(2*PI*1000*t),0)'"
    heard = ("-f", "lavfi", "-i", f"{beep}:s={RATE_HZ}:d={sound_s}") if sound else ()
    codec = x264(keyint=25, bframes=bframes)
    offset = ("-output_ts_offset", str(at_s))
    ffmpeg("-f", "lavfi", "-i", black, *heard, *codec, *sound, *options, *offset, out)
    return out


def join(*parts: Path) -> Path:
    """The parts, byte after byte."""
    out = parts[0].with_name(f"joined{parts[0].suffix}")
    out.write_bytes(b"".join(each.read_bytes() for each in parts))
    return out


def flashes_s(path: Path) -> list[float]:
    """When the flashes begin, in seconds of the file's own clock."""
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-i", f"file:{path}"]
    argv += ["-vf", "format=gray", "-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    done = subprocess.run(argv, capture_output=True, check=True)
    pictures = np.frombuffer(done.stdout, np.uint8).reshape(-1, SIZE[0] * SIZE[1])
    white = pictures.mean(axis=1) > 128
    begins = np.flatnonzero(white & ~np.concatenate([[False], white[:-1]]))
    track = probe_file(path).tracks[0]
    times = sorted(pts for pts, _ in clips.decoded_frames(path))
    return [float(times[frame] * track.time_base) for frame in begins.tolist()]


def sync_errors_s(path: Path, track: int = 0) -> list[float]:
    """By how much each beep comes after its flash."""
    return [b - f for b, f in zip(beeps_s(path, track), flashes_s(path), strict=True)]
