"""Encoders of graphics cards through ffmpeg: NVENC, Quick Sync, VA-API and AMF.

One scale of quality for all that make AV1: AV1's own, 0 to 63, of which each quarter is one step of
the quantizer index in the bitstream (0 to 255; SVT-AV1's table `quantizer_to_qindex` and libaom's
are 4 a step but for the last). NVENC takes the scale as it is, the others the index.

What all of them are told, whatever they could do besides:

- 10 bit, as svt-av1: less banding and drift, from 8-bit sources, too;
- no B-frames: every packet shows one frame, in the order it is stored, whatever a driver makes of
  reordering. That costs some bytes, and nothing can go wrong where segments are joined;
- a key frame at the start and every `keyint` frames, nowhere else, and none that refers back;
- no shape of pixels: NVENC would put a size for display into the stream, where only the container
  has one with the other encoders.

The colour tags are written into the finished stream by ffmpeg, so that no driver has to know them.

Everything a card can do wrong is found out by use: `services/encoding/choosing.py`.

Contract suite: tests/services/test_encoder_contract.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from drapto.core.color_codes import MATRICES, PRIMARIES, TRANSFERS
from drapto.core.media import ColorInfo
from drapto.core.segments import SegmentTask, VideoSettings
from drapto.services.encoding.command import (
    encoded_color,
    filter_graph,
    input_arguments,
    number,
    output_arguments,
)
from drapto.services.encoding.x26x import check_even

PIXEL_FORMAT = "p010le"  # 4:2:0, 10 bit, as cards store it
# Segments at once. A card has one to three engines, so more gain nothing, and three is what every
# driver allows: NVIDIA's for GeForce did until 2023, then five, since 2024 eight.
CARD_SESSIONS = 3
_AV1_RANGE = (2.0, 63.0)  # svt-av1's, so that it can go on with whatever another was asked for


@dataclass(frozen=True)
class HardwareEncoder:
    """`options` are its own; `before` stands in front of the input, `upload` behind the filters."""

    name: str
    codec: str
    ffmpeg_encoder: str
    options: Callable[[VideoSettings], list[str]]
    crf_range: tuple[float, float] = _AV1_RANGE
    crfs: tuple[float, float, float] = (24.0, 26.0, 28.0)  # without --crf: <= 1280, <= 1920, wider
    is_steerable: bool = True
    before: tuple[str, ...] = ()
    upload: str = ""
    needs_device: bool = True
    codes_grain: bool = False

    def check(self, settings: VideoSettings) -> None:
        check_even(self.name, settings)

    def default_crf(self, width: int) -> float:
        """svt-av1's by default: the scale is the same, and nobody measured better ones here."""
        small, middle, large = self.crfs
        if width <= 1280:
            return small
        return middle if width <= 1920 else large

    def arguments(self, task: SegmentTask) -> list[str]:
        settings = task.settings
        return [
            *self.before,
            *input_arguments(task),
            *("-vf", f"{filter_graph(task, PIXEL_FORMAT)},setsar=1{self.upload}"),
            *("-c:v", self.ffmpeg_encoder, *self.options(settings)),
            *("-g", str(settings.keyint), "-bf", "0"),
            *_tags(self.codec, encoded_color(settings.color)),
            *output_arguments(task),
        ]


_BY_NAME = [
    {name: number for number, name in codes.items()} for codes in (PRIMARIES, TRANSFERS, MATRICES)
]
# How each of ffmpeg's filters calls them: primaries, transfer, matrix; range; chroma location.
_FILTERS = {
    "av1": (
        "av1_metadata",
        ("color_primaries", "transfer_characteristics", "matrix_coefficients"),
        ("color_range", {"tv": 0, "pc": 1}),
        ("chroma_sample_position", {"left": 1, "topleft": 2}),
    ),
    "hevc": (
        "hevc_metadata",
        ("colour_primaries", "transfer_characteristics", "matrix_coefficients"),
        ("video_full_range_flag", {"tv": 0, "pc": 1}),
        ("chroma_sample_loc_type", {"left": 0, "center": 1, "topleft": 2}),
    ),
}


def _tags(codec: str, color: ColorInfo) -> list[str]:
    """Nothing where nothing is known."""
    name, tags, (range_tag, ranges), (location_tag, locations) = _FILTERS[codec]
    known = (color.primaries, color.transfer, color.matrix)
    told = {
        tag: codes.get(value or "") for tag, value, codes in zip(tags, known, _BY_NAME, strict=True)
    }
    told[range_tag] = ranges.get(color.range or "")
    told[location_tag] = locations.get(color.chroma_location or "")
    given = ":".join(f"{tag}={number}" for tag, number in told.items() if number is not None)
    return ["-bsf:v", f"{name}={given}"] if given else []


def quantizer_index(crf: float) -> int:
    """AV1's base_q_idx, 1 to 255, for a point of the scale: 4 a step. 0 would be lossless."""
    return min(max(round(4 * crf), 1), 255)


def _nvenc(settings: VideoSettings) -> list[str]:
    """`-rc vbr` with `-cq` and without a bit rate is its constant quality; the look-ahead of the
    slow presets would set key frames where it sees cuts."""
    preset = 7 - (settings.preset + 1) // 2  # p7, the slowest, to p1: medium, p4, for 5 and 6
    return [
        *("-preset", f"p{max(1, preset)}", "-tune", "hq"),
        *("-rc", "vbr", "-cq", number(settings.crf), "-b:v", "0"),
        *("-forced-idr", "1", "-no-scenecut", "1"),
    ]


def _qsv(settings: VideoSettings) -> list[str]:
    """`-q:v` chooses its constant quantizer, which for AV1 is the index."""
    preset = 1 + settings.preset // 2  # 1, veryslow, to 7, veryfast: medium, 4, for 6 and 7
    return [
        *("-preset", str(min(7, preset)), "-q:v", str(quantizer_index(settings.crf))),
        *("-forced_idr", "1"),
    ]


def _vaapi(settings: VideoSettings) -> list[str]:
    """What its effort is called differs from driver to driver, so `preset` changes nothing."""
    return ["-rc_mode", "CQP", "-global_quality", str(quantizer_index(settings.crf))]


def _amf(settings: VideoSettings) -> list[str]:
    names = ("high_quality", "quality", "balanced", "speed")
    quality = names[(settings.preset + 1) // 4]
    index = str(quantizer_index(settings.crf))
    return [
        *("-usage", "transcoding", "-quality", quality, "-bitdepth", "10"),
        *("-rc", "cqp", "-qp_i", index, "-qp_p", index, "-qp_b", index),
        *("-header_insertion_mode", "gop", "-forced_idr", "1"),
    ]


AV1_NVENC = HardwareEncoder("av1-nvenc", "av1", "av1_nvenc", _nvenc)
AV1_QSV = HardwareEncoder("av1-qsv", "av1", "av1_qsv", _qsv)
AV1_VAAPI = HardwareEncoder(
    "av1-vaapi", "av1", "av1_vaapi", _vaapi,
    before=("-init_hw_device", "vaapi=card", "-filter_hw_device", "card"), upload=",hwupload",
)  # fmt: skip
AV1_AMF = HardwareEncoder("av1-amf", "av1", "av1_amf", _amf)
# NVENC's scale for HEVC is that of its quantizer, 0 to 51, as x265's is; 0 lets the driver choose.
HEVC_NVENC = HardwareEncoder(
    "hevc-nvenc", "hevc", "hevc_nvenc", _nvenc,
    crf_range=(1.0, 51.0), crfs=(20.0, 21.0, 22.0), is_steerable=False,
)  # fmt: skip
