"""Reads when the packets of audio tracks are said to be heard, and mends what cannot be true.

`read_leaps` demuxes once for all tracks; which timestamps are believed is decided in
core/audio_clock.py. `mending` makes ffmpeg count as decided, before it decodes or copies: the
bitstream filter setts numbers the packets of a track from 0, in the demuxer's order.
Tests: tests/infrastructure/ffmpeg/test_audio_clock.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import anyio.from_thread
import anyio.to_thread
import numpy as np

from drapto.core.audio_clock import Leap, Picture, find_leaps
from drapto.core.errors import InputError
from drapto.infrastructure.ffmpeg.opening import open_input

MAX_LEAPS = 1000
"""Linux takes 128 KiB for one argument (MAX_ARG_STRLEN), and a leap needs up to 110 bytes in it."""

_PACKETS_PER_CHECK = 1024  # how often the reading thread asks whether it is still wanted


async def read_leaps(
    path: Path, streams: Collection[int], picture: Picture
) -> Mapping[int, tuple[Leap, ...]]:
    """The leaps of each audio stream of `streams`, by stream index. Errors: InputError."""
    check = anyio.from_thread.check_cancelled
    return await anyio.to_thread.run_sync(_read_leaps, path, streams, picture, check)


def mending(index: int, leaps: Sequence[Leap]) -> list[str]:
    """Input options that take the leaps out of stream `index`. Errors: InputError if there are
    more than a command line can say."""
    if not leaps:
        return []
    if len(leaps) > MAX_LEAPS:
        raise InputError(
            f"The timestamps of audio track {index} leap {len(leaps)} times, which is more than "
            "can be mended."
        )
    terms = [f"between(N,{p.packet},{p.packet + p.packets - 1})*{p.ticks}" for p in leaps]
    wrong = _sum(terms).replace(",", "\\,")
    return [f"-bsf:{index}", f"setts=pts=PTS-({wrong}):dts=DTS-({wrong})"]


def _sum(terms: Sequence[str]) -> str:
    """Nested like a tree: ffmpeg evaluates by recursion, as deep as the sum is nested."""
    if len(terms) == 1:
        return f"({terms[0]})"
    half = len(terms) // 2
    return f"({_sum(terms[:half])}+{_sum(terms[half:])})"


def _read_leaps(
    path: Path, streams: Collection[int], picture: Picture, check: Callable[[], object]
) -> Mapping[int, tuple[Leap, ...]]:
    import av

    times: dict[int, list[tuple[int, int]]] = {index: [] for index in streams}
    with open_input(path) as container:
        chosen = [container.streams[index] for index in streams]
        try:
            for number, packet in enumerate(container.demux(chosen) if chosen else ()):
                _note(packet, times[packet.stream.index])
                if number % _PACKETS_PER_CHECK == 0:
                    check()
        except av.error.FFmpegError:
            pass  # what lies behind the damage is not encoded either
        return {
            stream.index: _leaps_of(times[stream.index], stream.time_base, picture)
            for stream in chosen
        }


def _note(packet: Any, times: list[tuple[int, int]]) -> None:
    """One packet's time and duration; one without a time follows on the one before."""
    stamp = packet.pts if packet.pts is not None else packet.dts
    if stamp is None:
        if not packet.size:
            return  # the end of the stream
        stamp = sum(times[-1]) if times else 0
    times.append((stamp, packet.duration or 0))


def _leaps_of(
    times: list[tuple[int, int]], time_base: Fraction | None, picture: Picture
) -> tuple[Leap, ...]:
    if time_base is None:
        return ()
    table = np.array(times, dtype=np.int64).reshape(-1, 2)
    return find_leaps(table[:, 0], table[:, 1], time_base, picture)
