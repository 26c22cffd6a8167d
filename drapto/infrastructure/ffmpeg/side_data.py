"""HDR facts from the side data of a decoded frame, and from what the ffmpeg program prints.

PyAV hands side data over as raw bytes of libavutil's structs; their layouts are spelled out
here. The stream's Dolby Vision record and chroma location are not exposed by PyAV at all, so
they are read from the lines that `ffmpeg -v verbose -i FILE` prints (`parse_stream_facts`).
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass

from drapto.core.media import ContentLight, DolbyVision, MasteringDisplay

# AVMasteringDisplayMetadata: primaries R, G, B (x, y), white (x, y), minimum, maximum as
# AVRational, then two ints: has_primaries, has_luminance.
_MASTERING = struct.Struct("=22i")
# AVContentLightMetadata: unsigned MaxCLL, MaxFALL.
_LIGHT = struct.Struct("=2I")
_DISPLAY_MATRIX = struct.Struct("=9i")

CHROMA_LOCATIONS = frozenset({"left", "center", "topleft", "top", "bottomleft", "bottom"})

# Dolby Vision signal compatibility ids (Dolby Vision Profiles and Levels, table 2).
_COMPATIBLE_WITH_HDR10, _COMPATIBLE_WITH_SDR, _COMPATIBLE_WITH_HLG = 1, 2, 4
_COMPATIBLE_WITH_BLURAY = 6
_LAYERED_PROFILES = frozenset({4, 7})


@dataclass(frozen=True)
class StreamFacts:
    """What ffmpeg prints about one stream and PyAV does not tell."""

    chroma_location: str | None = None
    dolby_vision: DolbyVision | None = None


def mastering_display(data: bytes) -> MasteringDisplay | None:
    """AVMasteringDisplayMetadata; None if it holds no usable values."""
    if len(data) < _MASTERING.size:
        return None
    values = _MASTERING.unpack_from(data)
    numbers = [
        numerator / denominator if denominator else 0.0
        for numerator, denominator in zip(values[0:20:2], values[1:20:2], strict=True)
    ]
    has_primaries, has_luminance = values[20], values[21]
    if not (has_primaries and has_luminance):
        return None
    pairs = [(numbers[i], numbers[i + 1]) for i in range(0, 8, 2)]
    return MasteringDisplay(
        red=pairs[0],
        green=pairs[1],
        blue=pairs[2],
        white=pairs[3],
        min_luminance=numbers[8],
        max_luminance=numbers[9],
    )


def content_light(data: bytes) -> ContentLight | None:
    """AVContentLightMetadata; None if both values are zero (unknown)."""
    if len(data) < _LIGHT.size:
        return None
    max_cll, max_fall = _LIGHT.unpack_from(data)
    return ContentLight(max_cll=max_cll, max_fall=max_fall) if max_cll or max_fall else None


def dolby_vision_of_frame(data: bytes, codec: str, transfer: str | None) -> DolbyVision | None:
    """What an AVDOVIMetadata block says about the stream's profile.

    The metadata block carries no profile number, it follows from the RPU header as in
    libavcodec's dovi_rpu.c: `vdr_rpu_profile` 0 with a full-range base layer is 5; 1 is 8, or 7
    (4 for less than 12 bits) where a residual enhancement layer is in use. AV1 is always 10.
    The compatibility id follows from the transfer function of the base layer.
    """
    if len(data) < 8:
        return None
    (header,) = struct.unpack_from("@N", data)  # AVDOVIMetadata.header_offset, a size_t
    fields = data[header : header + 17]
    if len(fields) < 17:
        return None
    rpu_profile, full_range, bit_depth = fields[4], bool(fields[10]), fields[13]
    residual = bool(fields[15]) and not fields[16]
    if codec == "av1":
        profile = 10
    elif rpu_profile == 0:
        profile = 5 if full_range else 0
    elif residual:
        profile = 7 if bit_depth == 12 else 4
    else:
        profile = 8
    return DolbyVision(
        profile=profile,
        compatibility_id=_compatibility(profile, transfer),
        has_enhancement_layer=profile in _LAYERED_PROFILES,
    )


def _compatibility(profile: int, transfer: str | None) -> int | None:
    if profile == 5:
        return 0
    if profile == 7:
        return _COMPATIBLE_WITH_BLURAY
    if transfer == "smpte2084":
        return _COMPATIBLE_WITH_HDR10
    if transfer == "arib-std-b67":
        return _COMPATIBLE_WITH_HLG
    if transfer in ("bt709", "smpte170m"):
        return _COMPATIBLE_WITH_SDR
    return None


def orientation(data: bytes) -> tuple[int, bool]:
    """(clockwise turn in degrees: 0, 90, 180 or 270; mirrored) of a display matrix.

    The picture is turned first and then mirrored left to right, which is the order in which
    ffmpeg's -display_rotation and -display_hflip build a matrix. With x to the right and y
    downwards, (x, y) becomes (a x + c y, b x + d y), so a clockwise turn by t has
    a = d = cos t, b = -c = sin t, and mirroring negates a and c.
    """
    if len(data) < _DISPLAY_MATRIX.size:
        return 0, False
    a, b, _, c, d, *_ = _DISPLAY_MATRIX.unpack_from(data)
    if not a * d - b * c:
        return 0, False
    mirrored = a * d - b * c < 0
    if mirrored:
        a = -a
    turn = math.degrees(math.atan2(b, a))
    return round(turn / 90) % 4 * 90, mirrored


_STREAM_LINE = re.compile(r"^\s+Stream #0:(\d{1,9})(?:\[0x[0-9a-f]+\])?(?:\([^)]*\))?: (.*)$")
_DOVI_LINE = re.compile(
    r"DOVI configuration record: version: [\d.]+, profile: (\d{1,3}), level: (\d{1,3}), "
    r"rpu flag: \d, el flag: (\d), bl flag: \d, compatibility id: (\d{1,3})"
)
_COLOR_PARENTHESES = re.compile(r"(?<=\w)\(((?:[^()]|\([^)]*\))*)\)")


def parse_stream_facts(text: str) -> dict[int, StreamFacts]:
    """Facts per stream index from the stderr of `ffmpeg -v verbose -i FILE`."""
    facts: dict[int, StreamFacts] = {}
    index = -1
    for line in text.split("\n"):  # a tag may hold what else Python takes for the end of a line
        if found := _STREAM_LINE.match(line):
            index = int(found.group(1))
            facts[index] = StreamFacts(chroma_location=_chroma_location(found.group(2)))
        elif index >= 0 and (record := _DOVI_LINE.search(line)):
            profile, level, layer, compatibility = map(int, record.groups())
            facts[index] = StreamFacts(
                chroma_location=facts[index].chroma_location,
                dolby_vision=DolbyVision(
                    profile=profile,
                    level=level or None,
                    compatibility_id=compatibility,
                    has_enhancement_layer=bool(layer),
                ),
            )
    return facts


def _chroma_location(description: str) -> str | None:
    """From 'Video: hevc (Main 10), …, yuv420p10le(tv, bt2020nc/…, topleft), …'."""
    if not description.startswith("Video:"):
        return None
    for group in _COLOR_PARENTHESES.findall(description):
        for word in (part.strip() for part in group.split(",")):
            if word in CHROMA_LOCATIONS:
                return str(word)
    return None
