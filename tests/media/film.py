"""Composed films whose truth is known: cuts, flashes, fades, bars, logos, credits, fields, noise.

A film is made as luma planes with exact code values (8 bit, limited range unless said) and
written losslessly, so a test can ask for the very row where the picture begins.

    path = write_film(tmp_path / "a.mkv", letterbox(shot(1, 24), top=18, bottom=18))
    video = source_of(path)
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from drapto.core.media import ColorInfo, FrameIndex, MediaInfo, Track, TrackKind
from drapto.core.source import SourceVideo

Planes = npt.NDArray[np.uint8]  # (n, height, width) luma

BITEXACT = {"fflags": "+bitexact"}
"""Makes a muxer write the same bytes every time: no random numbers, no date."""

WIDTH, HEIGHT = 192, 108
BLACK = 16


def texture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> npt.NDArray[np.uint8]:
    """A still picture without black parts: blobs, edges and some detail, 50..220."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width), np.float32)
    for cells, weight in ((5, 1.0), (12, 0.9), (30, 0.5)):
        grid = rng.random((max(2, cells * height // width + 1), cells)).astype(np.float32)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(10):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        size = (int(rng.integers(8, width // 3)), int(rng.integers(8, height // 2)))
        total[y : y + size[1], x : x + size[0]] += float(rng.uniform(-0.6, 0.6))
    low, high = float(total.min()), float(total.max())
    return (50 + 170 * (total - low) / (high - low)).astype(np.uint8)


def shot(
    seed: int,
    frames: int,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    step: tuple[float, float] = (1, 0),
) -> Planes:
    """A camera that moves `step` pixels (x, y) a frame over one large picture."""
    reach_x, reach_y = (int(abs(s) * frames) + 1 for s in step)
    still = texture(seed, width + reach_x, height + reach_y)
    planes = []
    for i in range(frames):
        x = int(abs(step[0]) * i) if step[0] >= 0 else reach_x - int(abs(step[0]) * i)
        y = int(abs(step[1]) * i) if step[1] >= 0 else reach_y - int(abs(step[1]) * i)
        planes.append(still[y : y + height, x : x + width])
    return np.stack(planes)


def generated(source: str, frames: int, *, width: int, height: int, moved: str = "null") -> Planes:
    """Luma of one of lavfi's patterns ('testsrc2', 'life=seed=3'), put through a filter."""
    size = f"{source}{':' if '=' in source else '='}s={width}x{height}:r=24"
    import imageio_ffmpeg  # here: tests of a GPU run where the program is not

    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", size]
    argv += ["-vf", moved, "-frames:v", str(frames), "-pix_fmt", "gray", "-f", "rawvideo", "-"]
    raw = subprocess.run(argv, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(frames, height, width)


def blank(frames: int, value: int = BLACK, *, width: int = WIDTH, height: int = HEIGHT) -> Planes:
    return np.full((frames, height, width), value, np.uint8)


def film(*parts: Planes) -> Planes:
    return np.concatenate(parts)


def fade(planes: Planes, *, start: float, end: float, black: int = BLACK) -> Planes:
    """Brightness from `start` to `end`, 1 being as it is and 0 black."""
    gain = np.linspace(start, end, len(planes))[:, None, None]
    return (black + (planes - float(black)) * gain).round().astype(np.uint8)


def dissolve(before: Planes, after: Planes) -> Planes:
    weight = np.linspace(0, 1, len(before) + 2)[1:-1, None, None]
    return (before * (1 - weight) + after * weight).astype(np.uint8)


def flash(planes: Planes, at: int, length: int = 2, strength: float = 0.8) -> Planes:
    lit = planes.copy()
    part = lit[at : at + length].astype(np.float32)
    lit[at : at + length] = (part + (235 - part) * strength).astype(np.uint8)
    return lit


def letterbox(
    planes: Planes,
    *,
    top: int = 0,
    bottom: int = 0,
    left: int = 0,
    right: int = 0,
    black: int = BLACK,
) -> Planes:
    """Black bars over the picture; its size stays."""
    barred = planes.copy()
    height, width = planes.shape[1:]
    barred[:, :top], barred[:, height - bottom :] = black, black
    barred[:, :, :left], barred[:, :, width - right :] = black, black
    return barred


def with_text(
    planes: Planes, lines: Sequence[str], *, y: int, step_y: float = 0, x: int = 8
) -> Planes:
    """White text, its first line's foot at row `y`, moving `step_y` rows a frame."""
    written = planes.copy()
    for i, plane in enumerate(written):
        for row, line in enumerate(lines):
            foot = int(y + row * 14 + i * step_y)
            cv2.putText(plane, line, (x, foot), cv2.FONT_HERSHEY_SIMPLEX, 0.35, 235, 1)
    return written


def with_noise(planes: Planes, sigma: float, seed: int = 0) -> Planes:
    rng = np.random.default_rng(seed)
    noisy = planes + rng.normal(0, sigma, planes.shape)
    return noisy.round().clip(0, 255).astype(np.uint8)


def interlaced(fields: Planes, *, top_first: bool = True) -> Planes:
    """Every two moments become the two fields of one frame."""
    first, second = fields[0::2], fields[1::2]
    frames = first[: len(second)].copy()
    lines = slice(1, None, 2) if top_first else slice(0, None, 2)
    frames[:, lines] = second[: len(frames), lines]
    return frames


def telecined(planes: Planes, *, top_first: bool = True) -> Planes:
    """2:3 pulldown: every four frames become five."""
    frames = []
    later = slice(1, None, 2) if top_first else slice(0, None, 2)
    for a, b, c, d in zip(*(planes[i::4] for i in range(4)), strict=False):
        for first, second in ((a, a), (b, b), (b, c), (c, d), (d, d)):
            frame = first.copy()
            frame[later] = second[later]
            frames.append(frame)
    return np.stack(frames)


def write_film(
    path: Path,
    planes: Planes,
    *,
    fps: int = 24,
    pixel_format: str = "yuv420p",
    codec: str = "ffv1",
    options: dict[str, str] | None = None,
) -> Path:
    """Write luma with neutral chroma. 10-bit formats get the same picture times four."""
    deep = "10" in pixel_format
    height, width = planes.shape[1:]
    with av.open(str(path), "w", options=BITEXACT) as container:
        stream: Any = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.options = options or {}
        for number, plane in enumerate(planes):
            frame = _frame(plane, deep, pixel_format)
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _frame(plane: npt.NDArray[np.uint8], deep: bool, pixel_format: str) -> av.VideoFrame:
    height, width = plane.shape
    if pixel_format in ("yuv420p", "yuvj420p", "yuv420p10le") and not (height % 2 or width % 2):
        chroma = np.full((height // 2, width), 128, np.uint8)
        picture = np.concatenate([plane, chroma])
        if deep:
            return av.VideoFrame.from_ndarray(_wider(picture, 2), format=pixel_format)
        return av.VideoFrame.from_ndarray(picture, format=pixel_format)
    if pixel_format in ("bgr0", "gbrp10le"):
        rgb = av.VideoFrame.from_ndarray(np.stack([plane] * 3, 2), format="rgb24")
        return rgb.reformat(format=pixel_format)
    if pixel_format.startswith("gray"):
        shift = {"gray": 0, "gray10le": 2, "gray16le": 8}[pixel_format]
        if shift:
            return av.VideoFrame.from_ndarray(_wider(plane, shift), format=pixel_format)
        return av.VideoFrame.from_ndarray(plane, format=pixel_format)
    planar = av.VideoFrame(width, height, "yuv444p")
    for number, target in enumerate(planar.planes):
        rows = np.full((height, target.line_size), 128, np.uint8)
        if number == 0:
            rows[:, :width] = plane
        target.update(rows.tobytes())
    return planar.reformat(format=pixel_format)


def _wider(values: npt.NDArray[np.uint8], shift: int) -> npt.NDArray[np.uint16]:
    return values.astype(np.uint16) << np.uint16(shift)


def damage(path: Path, *, packet: int) -> None:
    """Overwrite the coded data of one packet of a Matroska file, its headers left whole."""
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        position, size = packets[packet].pos, packets[packet].size
    assert position is not None
    with path.open("r+b") as file:
        file.seek(position)
        block = file.read(size + 32)
        start = block.index(bytes(packets[packet])[:16])
        file.seek(position + start + 5)
        file.write(b"\xff" * (size - 5))


def source_of(path: Path, *, color: ColorInfo | None = None) -> SourceVideo:
    """The file's first video stream with its frame index, from demuxing."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        base = Fraction(stream.time_base or 1)
        packets = [p for p in container.demux(stream) if p.pts is not None]
        pts = np.array(sorted(p.pts for p in packets if p.pts is not None), np.int64)
        step = max(1, round(1 / (Fraction(stream.average_rate or 24) * base)))
        track = Track(
            index=stream.index,
            kind=TrackKind.VIDEO,
            codec=stream.codec_context.name,
            time_base=base,
            width=stream.width,
            height=stream.height,
            color=color or ColorInfo(),
        )
    index = FrameIndex(base, pts, np.full(len(pts), step, np.int64), np.ones(len(pts), bool))
    media = MediaInfo(
        path=path, format_name="matroska,webm", size_bytes=path.stat().st_size, tracks=(track,)
    )
    return SourceVideo(media, track, path, track.index, index)
