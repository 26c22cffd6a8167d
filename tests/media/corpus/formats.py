"""Samples: how many bits, how much chroma, RGB, gray, full range, transparency."""

from __future__ import annotations

from tests.media import odd
from tests.media.clips import x264, x265
from tests.media.corpus.entry import Entry, Truth, even
from tests.media.corpus.recipes import HEIGHT, WIDTH, picture

_SMALL = {"width": WIDTH, "height": HEIGHT}
_FORMAT = frozenset({"chroma_format"})
_DEEP_FORMAT = frozenset({"chroma_format", "bit_depth"})
_RGB = frozenset({"chroma_format", "color_matrix", "color_range"})


def _samples(
    name: str, pixel_format: str, what: str, *, named: frozenset[str], codec: str = "ffv1"
) -> Entry:
    """Twelve frames in a format of samples; FFV1 unless another codec is named."""
    encoders = {"ffv1": ("-c:v", "ffv1"), "h264": x264(), "hevc": x265()}
    return Entry(
        name,
        picture(f"{name}.mkv", codec=encoders[codec], pixel_format=pixel_format, frames=12),
        Truth(
            what,
            frames=12,
            times_s=even(12, 24),
            video_codec=codec,
            pixel_format=pixel_format,
            named=named,
            **_SMALL,
        ),
    )


ENTRIES: tuple[Entry, ...] = (
    _samples("yuv420_8", "yuv420p", "4:2:0, 8 bits.", named=frozenset()),
    _samples("yuv422_8", "yuv422p", "4:2:2, 8 bits.", named=_FORMAT),
    _samples("yuv444_8", "yuv444p", "4:4:4, 8 bits.", named=_FORMAT),
    _samples("yuv420_10", "yuv420p10le", "4:2:0, 10 bits.", named=frozenset(), codec="hevc"),
    _samples("yuv422_10", "yuv422p10le", "4:2:2, 10 bits.", named=_FORMAT, codec="h264"),
    _samples("yuv444_10", "yuv444p10le", "4:4:4, 10 bits.", named=_FORMAT, codec="h264"),
    _samples("yuv420_12", "yuv420p12le", "4:2:0, 12 bits.", named=frozenset({"bit_depth"})),
    _samples("yuv422_12", "yuv422p12le", "4:2:2, 12 bits.", named=_DEEP_FORMAT, codec="hevc"),
    _samples("yuv444_12", "yuv444p12le", "4:4:4, 12 bits.", named=_DEEP_FORMAT, codec="hevc"),
    _samples("gray_8", "gray", "Gray, 8 bits.", named=_FORMAT),
    _samples("gray_10", "gray10le", "Gray, 10 bits.", named=_FORMAT),
    _samples("rgb_16", "gbrp16le", "RGB, 16 bits.", named=_RGB | {"bit_depth"}),
    Entry(
        "full_range",
        picture("full.mkv", filters="scale=out_range=full", pixel_format="yuvj420p"),
        Truth(
            "Samples from 0 to 255.",
            frames=24,
            times_s=even(24, 24),
            full_range=True,
            **_SMALL,
        ),
        mp4=True,
    ),
    Entry(
        "rgb",
        odd.rgb,
        Truth(
            "RGB whose frames say so.",
            frames=12,
            times_s=even(12, 24),
            width=160,
            height=90,
            video_codec="ffv1",
            named=_RGB,
        ),
    ),
    Entry(
        "rgb_untagged",
        odd.untagged_rgb,
        Truth(
            "RGB without a word about its matrix, in QuickTime.",
            frames=12,
            times_s=even(12, 24),
            width=160,
            height=90,
            video_codec="qtrle",
            named=_RGB,
        ),
    ),
    Entry(
        "transparent_vp9",
        odd.transparent_webm,
        Truth(
            "VP9 whose transparency is a second picture beside the first.",
            frames=12,
            times_s=even(12, 24),
            width=160,
            height=90,
            video_codec="vp9",
            says=("transparency",),
            named=frozenset({"alpha"}),
        ),
    ),
    Entry(
        "transparent",
        odd.transparent,
        Truth(
            "ProRes 4444 with an alpha channel.",
            frames=12,
            times_s=even(12, 24),
            width=160,
            height=90,
            video_codec="prores",
            says=("transparency",),
            named=_DEEP_FORMAT | {"alpha"},
        ),
        webm=True,
    ),
)
