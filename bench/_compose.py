"""One benchmark clip with cuts, made of excerpts of other clips."""

from __future__ import annotations

import itertools
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

# Shot lengths in seconds, gone through in turn: short and long ones, as films have them.
SHOT_LENGTHS_S = (2.5, 6.0, 3.5, 9.0, 4.0, 1.5, 7.0)

ROUNDING_S = 1.0  # a shot may lose a frame at each end to rounding

# Moving, textured and noisy pictures for when no clip is given. Not real content.
GENERATED = (
    "testsrc2=size={w}x{h}:rate={rate}",
    "mandelbrot=size={w}x{h}:rate={rate}:end_scale=0.05",
    "life=size={w}x{h}:rate={rate}:mold=10:ratio=0.1:death_color=#203040:life_color=#d0c080",
    "gradients=size={w}x{h}:rate={rate}:nb_colors=6:speed=0.03:seed=7",
)
GENERATED_LENGTH_S = 20.0


@dataclass(frozen=True)
class Shot:
    """An excerpt of one clip. `clip` None: the generated picture number `generated`."""

    start_s: float
    length_s: float
    clip: Path | None = None
    has_audio: bool = False
    generated: int = 0


@dataclass(frozen=True)
class Composed:
    path: Path
    frames: int
    duration_s: float
    shots: int
    sources: int


def compose(
    ffmpeg: Path, clips: list[Path], output: Path, *, size: tuple[int, int], rate: Fraction,
    length_s: float,
) -> Composed:  # fmt: skip
    """Cut the clips into shots and join them to at least `length_s` seconds.

    Every shot fills the frame (no bars), at one frame rate, with the clip's own audio where it
    has some. The result is nearly lossless H.264 (CRF 12, key frames where x264 sets them)
    and 160 kb/s AAC.
    """
    shots = _plan(clips, length_s)
    parts = [output.with_name(f"shot{i:03d}.nut") for i in range(len(shots))]
    for shot, part in zip(shots, parts, strict=True):
        _run(ffmpeg, *_shot_arguments(shot, size, rate), str(part))
    listing = output.with_name("shots.txt")
    listing.write_text("".join(f"file '{part.name}'\n" for part in parts))
    _run(
        ffmpeg,
        *("-f", "concat", "-i", str(listing)),
        *("-vf", "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"),
        *("-c:v", "libx264", "-preset", "medium", "-crf", "12"),
        *("-c:a", "aac", "-b:a", "160k"),
        str(output),
    )
    for leftover in (*parts, listing):
        leftover.unlink()
    with av.open(str(output)) as container:
        frames = sum(1 for packet in container.demux(video=0) if packet.size)
    return Composed(output, frames, float(frames / rate), len(shots), len(clips) or len(GENERATED))


def _plan(clips: list[Path], length_s: float) -> list[Shot]:
    """Shots from each clip in turn, each going on where the clip's last one ended."""
    sources = [_describe(clip) for clip in clips] or [
        (Shot(0, 0, generated=i), GENERATED_LENGTH_S) for i in range(len(GENERATED))
    ]
    positions = [0.0] * len(sources)
    lengths = itertools.cycle(SHOT_LENGTHS_S)
    shots: list[Shot] = []
    for i in itertools.cycle(range(len(sources))):
        source, available_s = sources[i]
        wanted_s = min(next(lengths), available_s)
        if positions[i] + wanted_s > available_s:
            positions[i] = 0.0
        shots.append(Shot(positions[i], wanted_s, source.clip, source.has_audio, source.generated))
        positions[i] += wanted_s
        if sum(shot.length_s for shot in shots) >= length_s + ROUNDING_S:
            return shots
    raise AssertionError("an endless cycle ended")


def _describe(clip: Path) -> tuple[Shot, float]:
    with av.open(str(clip)) as container:
        video = container.streams.video[0]
        if video.duration is not None and video.time_base is not None:
            available_s = float(video.duration * video.time_base)
        else:
            available_s = (container.duration or 0) / av.time_base
        if available_s < min(SHOT_LENGTHS_S):
            raise SystemExit(f"{clip} is shorter than {min(SHOT_LENGTHS_S)} s")
        return Shot(0, 0, clip, bool(container.streams.audio)), available_s


def _shot_arguments(shot: Shot, size: tuple[int, int], rate: Fraction) -> list[str]:
    width, height = size
    length = f"{shot.length_s:.3f}"
    if shot.clip is not None:
        picture = ["-ss", f"{shot.start_s:.3f}", "-i", f"file:{shot.clip.resolve()}"]
    else:
        source = GENERATED[shot.generated].format(w=width, h=height, rate=rate)
        picture = ["-f", "lavfi", "-ss", f"{shot.start_s:.3f}", "-i", source]
    audio = "0:a:0" if shot.has_audio else "1:a:0"
    fill = (
        f"fps={rate},scale={width}:{height}:force_original_aspect_ratio=increase:flags=lanczos,"
        f"crop={width}:{height},setsar=1,format=yuv420p"
    )
    return [
        *picture,
        *("-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000"),
        *("-map", "0:v:0", "-map", audio, "-t", length, "-vf", fill),
        *("-af", "aresample=48000,aformat=sample_fmts=s16:channel_layouts=stereo,apad"),
        *("-c:v", "ffv1", "-c:a", "pcm_s16le", "-f", "nut"),
    ]


def _run(ffmpeg: Path, *arguments: str) -> None:
    subprocess.run([ffmpeg, "-nostdin", "-v", "error", "-y", *arguments], check=True)
