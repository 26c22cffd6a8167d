"""Which codecs a device's own decoder takes: each tried on a tiny clip, never looked up.

An H100 has decoders and no encoder, a card for games both, and drivers differ: only use tells.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from drapto.core.device import DecodeEngine, Device
from drapto.core.opening import file_url
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.frames import build_index
from drapto.infrastructure.ffmpeg.probe import main_video, probe_file
from drapto.infrastructure.gpu.luma import DeviceLumaReader

# What sources mostly are, and encoders of PyAV that make them. AV1 is not among them: PyAV decodes
# it by dav1d, which knows no device.
TRIED = (
    ("h264", "libx264", "yuv420p"),
    ("hevc", "libx265", "yuv420p"),
    ("hevc", "libx265", "yuv420p10le"),
    ("vp9", "libvpx-vp9", "yuv420p"),
)
_QUIET = {"libx265": {"x265-params": "log-level=none"}}
_FRAMES, _WIDTH, _HEIGHT = 12, 320, 192  # NVDEC refuses less than 128 to a side in some codecs


def decode_engines(device: Device) -> Iterator[DecodeEngine]:
    """One for each of `TRIED` that PyAV can make; blocking, some tenths of a second each."""
    import av

    with tempfile.TemporaryDirectory(prefix="drapto-doctor-") as folder:
        for codec, encoder, pixel_format in TRIED:
            clip = Path(folder, f"{encoder}-{pixel_format}.mkv")
            depth = 10 if "10" in pixel_format else 8
            try:
                _write(clip, encoder, pixel_format)
            except (av.error.FFmpegError, ValueError):
                continue
            why_not = _why_not(clip, device)
            yield DecodeEngine(codec=codec, bit_depth=depth, works=not why_not, why_not=why_not)


def _write(clip: Path, encoder: str, pixel_format: str) -> None:
    import av

    rng = np.random.default_rng(1)
    coarse = rng.integers(40, 200, (_HEIGHT // 16, _WIDTH // 16)).astype(np.uint8)
    picture = np.kron(coarse, np.ones((16, 16), np.uint8))
    with av.open(file_url(clip), "w") as container:
        stream: Any = container.add_stream(encoder, rate=Fraction(24))
        stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, pixel_format
        stream.options = _QUIET.get(encoder, {})
        for number in range(_FRAMES):
            moved = np.roll(picture, 5 * number, axis=1)
            frame = av.VideoFrame.from_ndarray(moved, format="gray8").reformat(format=pixel_format)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _why_not(clip: Path, device: Device) -> str:
    said: list[str] = []
    frames = DeviceLumaReader(device, on_fallback=said.append).frames(_opened(clip), max_height=144)
    for _ in islice(frames, _FRAMES):
        pass
    return said[0].rpartition(": ")[2] if said else ""


def _opened(clip: Path) -> SourceVideo:
    media = probe_file(clip)
    track = main_video(media)
    return SourceVideo(media, track, clip, track.index, build_index(clip, track, lambda: None))
