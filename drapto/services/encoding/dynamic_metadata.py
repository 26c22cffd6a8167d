"""Decides what becomes of HDR10+ and Dolby Vision, before the first frame is encoded.

Promised: whatever is not carried over as it is, is named in plain sentences; what is carried is
written into the plan that the segments are made by and the output is compared with. Formats and
limits: docs/dynamic-metadata.md.

Tests: tests/services/encoding/test_dynamic_metadata.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from drapto.core.bits import BitsError
from drapto.core.crop_border import CropBorder
from drapto.core.dolby_vision import rpu
from drapto.core.dynamic_metadata import CarriedFrames, DynamicMetadata
from drapto.core.media import CropRect, DolbyVision
from drapto.core.source import SourceVideo
from drapto.core.words import count

_AV1_PROFILE = 10
_IPT_BASE, _HDR10_BASE, _SDR_BASE, _HLG_BASE = 0, 1, 2, 4  # signal compatibility ids
_BASE_BY_TRANSFER = {"smpte2084": _HDR10_BASE, "arib-std-b67": _HLG_BASE, "bt709": _SDR_BASE}
_KNOWN_BASES = frozenset({_IPT_BASE, _HDR10_BASE, _SDR_BASE, _HLG_BASE})

# Dolby Vision Profiles and Levels, table 4: pixels a second and width, level by level from 1.
_LEVELS = (
    (1280 * 720 * 24, 1280), (1280 * 720 * 30, 1280), (1920 * 1080 * 24, 1920),
    (1920 * 1080 * 30, 2560), (1920 * 1080 * 60, 3840), (3840 * 2160 * 24, 3840),
    (3840 * 2160 * 30, 3840), (3840 * 2160 * 48, 3840), (3840 * 2160 * 60, 3840),
    (3840 * 2160 * 120, 3840), (3840 * 2160 * 120, 7680), (7680 * 4320 * 60, 7680),
    (7680 * 4320 * 120, 7680),
)  # fmt: skip


@dataclass(frozen=True)
class MetadataDecision:
    """The plan, and why something is lost or changed: a sentence each, empty where nothing is."""

    plan: DynamicMetadata
    hdr10_plus_note: str = ""
    dolby_vision_note: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.hdr10_plus_note, self.dolby_vision_note)))


def decide_metadata(video: SourceVideo, crop: CropRect | None, codec: str) -> MetadataDecision:
    """What an output in `codec` carries of the metadata of the source's frames."""
    carries_hdr10_plus, hdr10_plus_note = _hdr10_plus(video, codec)
    vision = _dolby_vision(video, crop, codec)
    border = None
    if crop is not None and (carries_hdr10_plus or vision.record is not None):
        border = CropBorder.of(crop, video.track.width or 0, video.track.height or 0)
    plan = DynamicMetadata(
        hdr10_plus=carries_hdr10_plus,
        inherits=carries_hdr10_plus and video.carries.inherited > 0,
        dolby_vision=vision.record,
        drops_layer=vision.drops_layer,
        border=border,
    )
    return MetadataDecision(plan, hdr10_plus_note, vision.note)


def has_dolby_vision(video: SourceVideo) -> bool:
    """Whether the source says that it is Dolby Vision, or is without saying so."""
    return bool(video.carries.dolby_vision) or video.track.color.dolby_vision is not None


def has_hdr10_plus(video: SourceVideo) -> bool:
    return bool(video.carries.hdr10_plus) or video.track.color.hdr10_plus


def dolby_vision_level(width: int, height: int, frame_rate: Fraction) -> int:
    """The lowest level that allows this picture; 13, the highest, beyond all of them."""
    pixels = width * height * frame_rate
    for level, (most_pixels, most_width) in enumerate(_LEVELS, 1):
        if pixels <= most_pixels and width <= most_width:
            return level
    return len(_LEVELS)


def _hdr10_plus(video: SourceVideo, codec: str) -> tuple[bool, str]:
    """(carried, what a person has to know)"""
    color, frames = video.track.color, video.carries.hdr10_plus
    if not has_hdr10_plus(video):
        return False, ""
    has_static = color.mastering_display is not None or color.content_light is not None
    kept = "the static HDR10 metadata is" if has_static else "there is no static HDR10 metadata"
    if codec != "av1":
        why = "only AV1 outputs get it"
    elif not frames:
        why = f"Drapto cannot read it from {video.track.codec}"
    else:
        return True, _partly("HDR10+", frames, video)
    return False, (f"The HDR10+ metadata of the single frames is not carried over ({why}); {kept}.")


@dataclass(frozen=True)
class _DolbyVision:
    """The output's record (None: nothing is carried), and what a person has to know."""

    record: DolbyVision | None = None
    drops_layer: bool = False
    note: str = ""


def _dolby_vision(video: SourceVideo, crop: CropRect | None, codec: str) -> _DolbyVision:
    if not has_dolby_vision(video):
        return _DolbyVision()
    found, frames = _known(video), video.carries.dolby_vision
    if not frames:
        said = f"The file says that it is Dolby Vision (profile {found.profile}), but no frame "
        return _DolbyVision(note=said + "holds such metadata, so there is none to carry over.")
    base = _base_of(video, found)
    if codec != "av1" or base is None:
        why = "" if codec == "av1" else "; only AV1 outputs get it"
        lost = f"The Dolby Vision metadata (profile {found.profile}) is not carried over{why}; "
        colours = "has wrong colours without it" if found.profile == 5 else "is"
        return _DolbyVision(note=f"{lost}the base layer {colours}.")
    width = crop.width if crop else video.track.width or 0
    height = crop.height if crop else video.track.height or 0
    level = dolby_vision_level(width, height, video.index.frame_rate)
    said = _about_profile(found.profile, base, video.carries)
    partly = _partly("Dolby Vision", frames, video)
    return _DolbyVision(
        record=DolbyVision(profile=_AV1_PROFILE, level=level, compatibility_id=base),
        drops_layer=found.profile == 7,
        note=" ".join(filter(None, (said, partly))),
    )


def _known(video: SourceVideo) -> DolbyVision:
    """The source's record; where it has none, by its first RPU (profile 0: nobody can tell)."""
    record = video.track.color.dolby_vision
    parsed = _first_rpu(video.carries)
    if record is not None and record.profile:
        return record
    profile = rpu.profile_of(parsed) if parsed else None
    if video.track.codec == "av1":
        profile = _AV1_PROFILE
    return DolbyVision(profile=profile or 0)


def _base_of(video: SourceVideo, found: DolbyVision) -> int | None:
    """What the base layer is by itself; None for a profile whose metadata AV1 has no place for."""
    if found.profile == 5:
        return _IPT_BASE
    if found.profile == 7:
        return _HDR10_BASE
    if found.profile not in (8, _AV1_PROFILE):
        return None
    if found.compatibility_id in _KNOWN_BASES:
        return found.compatibility_id
    return _BASE_BY_TRANSFER.get(video.track.color.transfer or "")


def _about_profile(profile: int, base: int, carries: CarriedFrames) -> str:
    if profile == 7:
        parsed = _first_rpu(carries)
        full = parsed is not None and rpu.layer_of(parsed) is rpu.Layer.FULL
        lost = "the detail that it adds to the base layer is lost" if full else "it adds no detail"
        return (
            "The enhancement layer of Dolby Vision profile 7 is not carried over, because AV1 has "
            f"no place for it; {lost}. The metadata is carried over as that of profile 8.1."
        )
    if base == _IPT_BASE:
        return (
            f"This is Dolby Vision profile {profile}, whose picture has right colours only in "
            "players that know Dolby Vision; so it is with the output."
        )
    return ""


def _partly(what: str, frames: int, video: SourceVideo) -> str:
    total = len(video.coded)
    if frames >= total:
        return ""
    return f"{frames} of {count(total, 'frame')} carry {what} metadata; the others stay without."


def _first_rpu(carries: CarriedFrames) -> rpu.Rpu | None:
    try:
        return rpu.parse(carries.first_rpu) if carries.first_rpu else None
    except BitsError:
        return None
