"""What becomes of an audio track: Opus, a copy, or nothing. Pure decisions, no process.

Bit rates are 64, 128, 256 and 384 kb/s for 1, 2, 6 and 8 channels and 48 kb/s a channel
otherwise. libopus takes only the eight layouts of RFC 7845's mapping family 1 (measured with
real encodes in tests/services/encoding/test_audio.py). Any other layout is treated so that no
channel is lost and none is mixed into another:

1. a layout whose channels all have a place in a family 1 layout is moved there; the places
   left over are silent (2.1 in 5.1, 4.0 in 6.1), side and back are the same pair where there
   is only one of them, and a front-wide pair takes the side pair, which moves to the back;
2. ambisonics use mapping family 2;
3. everything else (height channels, unknown positions, more than eight channels) keeps its
   channels as they are under mapping family 255, which stores no positions; this is named.

Example:

    decide_audio(track, container, mode="opus", holdable=True).encoding  # None unless encoded
"""

from __future__ import annotations

import re
from typing import Literal

from drapto.core.media import Track, Value
from drapto.core.tracks import AudioEncoding, Container

AudioMode = Literal["opus", "copy", "none"]

BIT_RATES = {1: 64_000, 2: 128_000, 6: 256_000, 8: 384_000}  # bits per second, by channels
BIT_RATE_PER_CHANNEL = 48_000  # bits per second, for every other number of channels
MAX_CHANNELS = 64  # libswresample's limit (SWR_CH_MAX); an Opus stream could hold 255

# Codecs that ffmpeg can tell apart but not decode (ffmpeg -codecs, 9.0).
UNDECODABLE = frozenset(
    {"", "none", "unknown", "4gv", "ac4", "apple_apac", "celt", "codec2", "lc3"}
    | {"mpegh_3d_audio", "smv", "sonic", "sonicls"}
)

# What mapping family 1 holds: RFC 7845 section 5.1.1.2, in ffmpeg's names and order.
FAMILY_1 = {
    "mono": "FC",
    "stereo": "FL FR",
    "3.0": "FL FR FC",
    "quad": "FL FR BL BR",
    "5.0": "FL FR FC BL BR",
    "5.1": "FL FR FC LFE BL BR",
    "6.1": "FL FR FC LFE BC SL SR",
    "7.1": "FL FR FC LFE BL BR SL SR",
}

# ffmpeg's other named layouts (ffmpeg -layouts, 9.0) that can be moved into one of those.
OTHER_LAYOUTS = {
    "2.1": "FL FR LFE",
    "3.0(back)": "FL FR BC",
    "4.0": "FL FR FC BC",
    "quad(side)": "FL FR SL SR",
    "3.1": "FL FR FC LFE",
    "5.0(side)": "FL FR FC SL SR",
    "4.1": "FL FR FC LFE BC",
    "5.1(side)": "FL FR FC LFE SL SR",
    "6.0": "FL FR FC BC SL SR",
    "6.0(front)": "FL FR FLC FRC SL SR",
    "hexagonal": "FL FR FC BL BR BC",
    "6.1(back)": "FL FR FC LFE BL BR BC",
    "6.1(front)": "FL FR LFE FLC FRC SL SR",
    "7.0": "FL FR FC BL BR SL SR",
    "7.0(front)": "FL FR FC FLC FRC SL SR",
    "7.1(wide)": "FL FR FC LFE BL BR FLC FRC",
    "7.1(wide-side)": "FL FR FC LFE FLC FRC SL SR",
    "downmix": "DL DR",
    "binaural": "BIL BIR",
}
_UNKNOWN_ORDER = {1: "mono", 2: "stereo", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}

# ffmpeg's pan filter takes a definition whose gains are all exactly 1 for a mere renumbering and
# then mixes from the old layout to the new one on top (measured: 7.1(wide) as 7.1 lost its wide
# pair). A gain a hair below 1 (-0.00001 dB) makes it use the definition as it stands.
_UNITY = "0.999999"

_RENAMED = {"DL": "FL", "DR": "FR", "BIL": "FL", "BIR": "FR"}
_BACK_TO_SIDE = {"BL": "SL", "BR": "SR"}
_SIDE_TO_BACK = {"SL": "BL", "SR": "BR"}
_WIDE_TO_SIDE = {"FLC": "SL", "FRC": "SR"}


class AudioDecision(Value):
    """`action` 'drop' only where nothing else is possible or wanted."""

    action: Literal["encode", "copy", "drop"]
    encoding: AudioEncoding | None = None
    detail: str
    wanted: bool = False  # dropped because the user asked for it


def decide_audio(
    track: Track, container: Container, *, mode: AudioMode, holdable: bool
) -> AudioDecision:
    """What becomes of `track` in `container`, which can hold it as it is if `holdable`."""
    if mode == "none":
        return AudioDecision(action="drop", detail="left out: --audio none", wanted=True)
    refusal = _cannot_encode(track)
    if mode == "copy" and holdable:
        return AudioDecision(action="copy", detail=describe(track))
    if mode == "opus" and track.codec == "opus":
        return AudioDecision(action="copy", detail=f"{describe(track)}: already Opus")
    if refusal is None:
        encoding, note = opus_encoding(track)
        why = f"; {container} cannot hold {track.codec}" if mode == "copy" else ""
        detail = f"{describe(track)} -> Opus {encoding.bit_rate // 1000} kb/s{note}{why}"
        return AudioDecision(action="encode", encoding=encoding, detail=detail)
    if holdable:
        return AudioDecision(action="copy", detail=f"{describe(track)}: {refusal}")
    detail = f"{describe(track)}: {refusal}, and {container} cannot hold it as it is"
    return AudioDecision(action="drop", detail=detail)


def opus_encoding(track: Track) -> tuple[AudioEncoding, str]:
    """The Opus settings for a track, and what has to be said about its channels (or '')."""
    count = track.channels or 0
    layout = track.channel_layout
    rate = BIT_RATES.get(count, BIT_RATE_PER_CHANNEL * count)
    if layout in FAMILY_1:
        family = 0 if count <= 2 else 1
        return _encoding(rate, count, layout, family, source=layout), ""
    if layout is not None and layout.startswith("ambisonic") and "+" not in layout:
        return _encoding(rate, count, layout, 2, source=layout), ""
    names = channel_names(layout)
    unknown = layout is None or re.fullmatch(r"\d+ channels", layout) is not None
    if unknown and count in _UNKNOWN_ORDER:
        return _by_number(rate, count)
    placed = _place(names) if names is not None and len(names) == count else None
    if placed is None:
        return _discrete(rate, count, layout)
    target, moves = placed
    pan = "|".join([target, *(f"{to}={_UNITY}*{name}" for name, to in moves.items())])
    family = 0 if target in ("mono", "stereo") else 1
    encoding = _encoding(rate, len(FAMILY_1[target].split()), target, family, layout, pan)
    return encoding, f" ({layout} as {target})"


def channel_names(layout: str | None) -> tuple[str, ...] | None:
    """The channels of a layout by ffmpeg's names, in order; None if positions are unknown.

    Understands named layouts and ffmpeg's spelling of custom ones: '3 channels (FL+FR+LFE)'.
    """
    if layout is None:
        return None
    known = FAMILY_1.get(layout) or OTHER_LAYOUTS.get(layout)
    if known is not None:
        return tuple(known.split())
    custom = re.search(r"(?:^|\()([A-Z0-9]+(?:\+[A-Z0-9]+)+)\)?$", layout)
    return tuple(custom.group(1).split("+")) if custom else None


def describe(track: Track) -> str:
    """'AAC 5.1' or 'AC3 3 channels': what a person calls the track."""
    layout = track.channel_layout or f"{track.channels or '?'} channels"
    return f"{track.codec.upper()} {layout}"


def _place(names: tuple[str, ...]) -> tuple[str, dict[str, str]] | None:
    """The smallest family 1 layout with room for all channels, and where each one goes."""
    moves = {name: _RENAMED.get(name, name) for name in names}
    if len(moves) != len(names):
        return None  # a name twice: not a layout that can be understood
    if "FLC" in moves or "FRC" in moves:
        if {"SL", "SR", "FLC", "FRC"} <= set(names) and {"BL", "BR"} & set(names):
            return None
        moves = {n: _WIDE_TO_SIDE.get(n) or _SIDE_TO_BACK.get(n, n) for n in names}
    for renaming in ({}, _SIDE_TO_BACK, _BACK_TO_SIDE):
        both_pairs = {"BL", "BR"} & set(moves.values()) and {"SL", "SR"} & set(moves.values())
        if renaming and both_pairs:
            return None
        placed = {name: renaming.get(to, to) for name, to in moves.items()}
        for target, places in FAMILY_1.items():
            if set(placed.values()) <= set(places.split()):
                return _prefer_back(target, placed, names)
    return None


def _prefer_back(
    target: str, placed: dict[str, str], names: tuple[str, ...]
) -> tuple[str, dict[str, str]]:
    """A single side pair fits 5.1 (as its back pair) better than 7.1 with silent backs."""
    if target in ("6.1", "7.1") and "BC" not in placed.values() and "BL" not in placed.values():
        back = {name: _SIDE_TO_BACK.get(to, to) for name, to in placed.items()}
        for smaller, places in FAMILY_1.items():
            if set(back.values()) <= set(places.split()) and "FLC" not in names:
                return smaller, back
    return target, placed


def _by_number(rate: int, count: int) -> tuple[AudioEncoding, str]:
    target = _UNKNOWN_ORDER[count]
    pan = "|".join([target, *(f"c{n}={_UNITY}*c{n}" for n in range(count))])
    encoding = _encoding(rate, count, target, 0 if count <= 2 else 1, None, pan)
    return encoding, f" (unknown layout taken for {target})" if count > 2 else ""


def _discrete(rate: int, count: int, layout: str | None) -> tuple[AudioEncoding, str]:
    note = f" ({count} separate channels: Opus cannot store the positions of {layout or 'these'})"
    return _encoding(rate, count, f"{count} channels", 255, source=layout), note


def _encoding(
    rate: int,
    channels: int,
    layout: str,
    family: int,
    source: str | None,
    pan: str | None = None,
) -> AudioEncoding:
    return AudioEncoding(
        bit_rate=rate,
        channels=channels,
        channel_layout=layout,
        mapping_family=family,
        source_layout=source,
        pan=pan,
    )


def _cannot_encode(track: Track) -> str | None:
    if track.codec in UNDECODABLE:
        return "there is no decoder for it"
    if not track.channels:
        return "its channels are unknown, so it cannot be decoded"
    if track.channels > MAX_CHANNELS:
        return f"it has more than {MAX_CHANNELS} channels"
    return None
