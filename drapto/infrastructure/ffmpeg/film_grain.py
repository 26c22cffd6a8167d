"""Whether a finished file has film grain that its player makes: what its AV1 stream says of itself.

Tests: tests/end_to_end/test_film_grain.py.
"""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread

from drapto.core.bits import BitsError
from drapto.infrastructure.ffmpeg import obu
from drapto.infrastructure.ffmpeg.opening import open_input

_AV1C_HEAD_BYTES = 4  # of AV1CodecConfigurationRecord, before its OBUs (AV1-ISOBMFF 2.3.3)


async def carries_grain(path: Path) -> bool:
    """By the sequence header of its first video; False for anything but AV1. Errors: InputError."""
    return await anyio.to_thread.run_sync(_carries_grain, path)


def _carries_grain(path: Path) -> bool:
    with open_input(path) as container:
        stream = container.streams.video[0]
        if stream.codec_context is None or stream.codec_context.name not in ("av1", "libdav1d"):
            return False
        kept = bytes(stream.codec_context.extradata or b"")[_AV1C_HEAD_BYTES:]
        first = next((bytes(packet) for packet in container.demux(stream) if packet.size), b"")
    try:
        units = [*obu.split(kept), *obu.split(first)]
        return any(obu.has_film_grain(unit) for unit in units if unit.kind == obu.SEQUENCE_HEADER)
    except (BitsError, IndexError):
        return False
