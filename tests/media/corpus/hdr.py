"""High dynamic range, static and dynamic."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.media import clips, dynamic_hdr
from tests.media.corpus.entry import MEDIA_VARIABLE, Entry, Truth, even, real_clip
from tests.media.corpus.recipes import Recipe
from tests.media.hdr import dolby_vision

_PATTERN = {"width": 320, "height": 180, "video_codec": "hevc"}
_PQ, _HLG = (9, 16, 9), (9, 18, 9)  # BT.2020, SMPTE ST 2084 or ARIB STD-B67, BT.2020 ncl

# What clips.hdr10 writes: P3 with a D65 white point, 0.005 to 1000 cd/m².
_DISPLAY = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329, 0.005, 1000.0)
_HDR10 = {**_PATTERN, "color": _PQ, "mastering": _DISPLAY, "light": (1000, 400)}


def _marked(name: str, frames: int = 24, **how: object) -> Recipe:
    return lambda directory: dynamic_hdr.source(directory, name, frames=frames, **how)  # type: ignore[arg-type]


def _vision(
    profile: str,
    make: Callable[[int], object],
    what: str,
    *,
    name: str = "vision.mkv",
    **truth: object,
) -> Entry:
    """24 frames of `clips.hdr10`, each with an RPU of its own."""
    rpu = dynamic_hdr.each(make)  # type: ignore[arg-type]
    enhancement = profile.startswith("7")
    stated = {**_HDR10, "dynamic_range": "dolby_vision", "dolby_vision": 24, **truth}
    return Entry(
        f"dolby_vision_{profile.replace('.', '_')}",
        _marked(name, rpu=rpu, enhancement=enhancement),
        Truth(what, frames=24, times_s=even(24, 24), **stated),  # type: ignore[arg-type]
        mp4=profile == "8.1",
    )


def _real(name: str) -> Recipe:
    def make(directory: Path) -> Path:
        clip = real_clip(name)
        assert clip is not None, f"{MEDIA_VARIABLE} names no directory that has {name}"
        return Path(shutil.copyfile(clip, directory / name))

    return make


def _later_half(frame: int) -> bytes | None:
    """Frames 21 to 23 are decoded after the key frame 24. libavcodec gives a picture without a
    message that of the one decoded before it, so all behind it have to have their own."""
    return dynamic_hdr.message(frame) if frame >= 21 else None


STATIC: tuple[Entry, ...] = (
    Entry(
        "hdr10",
        clips.hdr10,
        Truth(
            "BT.2020 PQ with a mastering display and content light level.",
            frames=24,
            times_s=even(24, 24),
            dynamic_range="hdr10",
            **_HDR10,  # type: ignore[arg-type]
        ),
        mp4=True,
        webm=True,
    ),
    Entry(
        "hlg",
        clips.hlg,
        Truth(
            "BT.2020 with the hybrid log-gamma transfer, in MP4.",
            frames=24,
            times_s=even(24, 24),
            dynamic_range="hlg",
            color=_HLG,
            **_PATTERN,  # type: ignore[arg-type]
        ),
    ),
)

DYNAMIC: tuple[Entry, ...] = (
    Entry(
        "hdr10_plus",
        _marked("plus.mkv", hdr10_plus=dynamic_hdr.message),
        Truth(
            "An HDR10+ message in every frame, each its own.",
            frames=24,
            times_s=even(24, 24),
            dynamic_range="hdr10+",
            hdr10_plus=24,
            **_HDR10,  # type: ignore[arg-type]
        ),
        mp4=True,
        webm=True,
    ),
    Entry(
        "hdr10_plus_in_half",
        _marked("half.mkv", frames=48, hdr10_plus=_later_half),
        Truth(
            "HDR10+ from frame 21 on, none before it.",
            frames=48,
            times_s=even(48, 24),
            dynamic_range="hdr10",  # by its first pictures
            hdr10_plus=27,
            says=("27 of 48 frames carry HDR10+ metadata",),
            **_HDR10,  # type: ignore[arg-type]
        ),
    ),
    Entry(
        "hdr10_plus_and_dolby_vision",
        _marked(
            "both.ts", hdr10_plus=dynamic_hdr.message, rpu=dynamic_hdr.each(dynamic_hdr.rpu_81)
        ),
        Truth(
            "Both in every frame, in MPEG-TS.",
            frames=24,
            times_s=even(24, 24),
            dynamic_range="dolby_vision",
            hdr10_plus=24,
            dolby_vision=24,
            **_HDR10,  # type: ignore[arg-type]
        ),
    ),
    _vision("5", dynamic_hdr.rpu_5, "Dolby Vision profile 5.", says=("Dolby Vision profile 5",)),
    _vision(
        "7_full",
        dynamic_hdr.rpu_7,
        "Dolby Vision profile 7 with a full enhancement layer.",
        says=("The enhancement layer of Dolby Vision profile 7 is not carried over",),
        named=frozenset({"dolby_vision_layer"}),
    ),
    _vision(
        "7_minimal",
        lambda frame: dynamic_hdr.rpu_7(frame, full=False),
        "Dolby Vision profile 7 whose enhancement layer adds nothing.",
        says=("it adds no detail",),
        named=frozenset({"dolby_vision_layer"}),
    ),
    _vision("8.1", dynamic_hdr.rpu_81, "Dolby Vision profile 8.1: an HDR10 base."),
    Entry(
        "dolby_vision_8_4",
        _marked("phone.mp4", rpu=dynamic_hdr.each(dynamic_hdr.rpu_84), base="hlg"),
        Truth(
            "Dolby Vision profile 8.4, as telephones write it: an HLG base.",
            frames=24,
            times_s=even(24, 24),
            dynamic_range="dolby_vision",
            color=_HLG,
            dolby_vision=24,
            **_PATTERN,  # type: ignore[arg-type]
        ),
    ),
    Entry(
        "dolby_vision_record_alone",
        dolby_vision,
        Truth(
            "The container says Dolby Vision 8.1, but no frame carries any.",
            frames=24,
            times_s=even(24, 24),
            dynamic_range="dolby_vision",
            named=frozenset({"dolby_vision"}),
            **_HDR10,  # type: ignore[arg-type]
        ),
    ),
)

REAL: tuple[Entry, ...] = (
    Entry(
        "real_dolby_vision",
        _real("dolby_vision_144p.mkv"),
        Truth(
            "A film's Dolby Vision, 259 frames.",
            frames=259,
            dynamic_range="dolby_vision",
            video_codec="hevc",
            dolby_vision=259,
        ),
        needs=("media/dolby_vision_144p.mkv",),
    ),
    Entry(
        "real_hdr10_plus",
        _real("hdr10plus_144p.mkv"),
        Truth(
            "A film's HDR10+, 259 frames.",
            frames=259,
            dynamic_range="hdr10+",
            video_codec="hevc",
            hdr10_plus=259,
        ),
        needs=("media/hdr10plus_144p.mkv",),
    ),
    Entry(
        "real_hdr10_plus_bare",
        _real("steel_1080p_hdr10plus_a.h265"),
        Truth(
            "Bare HEVC of 1920x800 with HDR10+, six frames.",
            frames=6,
            clockless=True,
            dynamic_range="hdr10+",
            width=1920,
            height=800,
            video_codec="hevc",
            hdr10_plus=6,
        ),
        needs=("media/steel_1080p_hdr10plus_a.h265",),
    ),
)

ENTRIES: tuple[Entry, ...] = (*STATIC, *DYNAMIC, *REAL)
