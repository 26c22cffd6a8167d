"""Metadata that changes from frame to frame: what a source has, and what its output gets.

    plan = decide_metadata(video, crop, "av1").plan   # services/encoding/dynamic_metadata.py
    carried = plan.carried(frame)                     # what the output's frame gets

The same function is used when a segment is written and when the output is compared with its
source, so the two cannot disagree about what was announced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

from drapto.core import hdr10_plus, t35
from drapto.core.bits import BitsError
from drapto.core.crop_border import CropBorder
from drapto.core.dolby_vision import edits, rpu
from drapto.core.media import DolbyVision, Value


@dataclass(frozen=True)
class FrameMetadata:
    """What one frame carries: an HDR10+ message (T.35, country code first), and a Dolby Vision
    RPU without any wrapping. None: nothing. `inherited`: the message is that of an earlier frame,
    which holds until another one comes."""

    hdr10_plus: bytes | None = None
    dolby_vision: bytes | None = None
    inherited: bool = field(default=False, compare=False)

    @property
    def messages(self) -> tuple[bytes, ...]:
        """As T.35 messages. Errors: BitsError if the RPU is too long for one."""
        wrapped = None if self.dolby_vision is None else t35.wrap_rpu(self.dolby_vision)
        return tuple(message for message in (self.hdr10_plus, wrapped) if message is not None)


NOTHING = FrameMetadata()


class DynamicMetadata(Value):
    """What the output's frames get. `dolby_vision` is the output's own record, None for none.

    `inherits`: some frames have the HDR10+ message of an earlier one. `drops_layer`: the source
    has an enhancement layer that stays behind. `border` is what the crop takes, None without one.
    """

    hdr10_plus: bool = False
    inherits: bool = False
    dolby_vision: DolbyVision | None = None
    drops_layer: bool = False
    border: CropBorder | None = None

    @property
    def is_any(self) -> bool:
        return self.hdr10_plus or self.dolby_vision is not None

    def carried(self, frame: FrameMetadata) -> FrameMetadata:
        """What the output's frame gets for this frame of the source.

        What needs no change is taken as it is, byte for byte. What cannot be read where it must
        be changed, or would not be understood in another order of frames, is left out.
        """
        return FrameMetadata(
            hdr10_plus=self._hdr10_plus(frame.hdr10_plus) if self.hdr10_plus else None,
            dolby_vision=self._rpu(frame.dolby_vision) if self.dolby_vision else None,
        )

    def _hdr10_plus(self, message: bytes | None) -> bytes | None:
        if message is None or self.border is None:
            return message
        try:
            metadata = hdr10_plus.parse(message)
            if not metadata.windows:
                return message
            return hdr10_plus.write(hdr10_plus.cropped(metadata, self.border))
        except BitsError:
            return None

    def _rpu(self, data: bytes | None) -> bytes | None:
        if data is None:
            return None
        must_change = self.drops_layer or self.border is not None
        try:
            parsed = rpu.parse(data)
        except BitsError:
            return None if must_change or not t35.fits(data) else data
        if not rpu.stands_alone(parsed):
            return None
        changed = parsed
        try:
            if self.drops_layer:
                changed = edits.without_enhancement_layer(changed)
            if self.border is not None:
                changed = edits.cropped(changed, self.border)
            return data if changed == parsed else rpu.write(changed)
        except BitsError:
            return None


@dataclass(frozen=True)
class CarriedFrames:
    """How many frames of a source carry what, found by demuxing, and how many of them only inherit
    their HDR10+ message. `first_rpu` is the first RPU there is."""

    hdr10_plus: int = 0
    dolby_vision: int = 0
    inherited: int = 0
    first_rpu: bytes | None = None


NONE_CARRIED = CarriedFrames()


@dataclass(frozen=True)
class MetadataDigests:
    """One kind of metadata of all frames, in display order: a digest, None for a frame without.

    `left_out` are frames that have it and whose output must not (see DynamicMetadata.carried);
    `unplaced` counts what belongs to no frame of the index.
    """

    frames: tuple[bytes | None, ...] = ()
    left_out: tuple[int, ...] = ()
    unplaced: int = 0

    @property
    def count(self) -> int:
        return sum(digest is not None for digest in self.frames)


@dataclass(frozen=True)
class DynamicFacts:
    """What every frame of a file carries; of a source: what its output's frames must carry."""

    hdr10_plus: MetadataDigests = field(default_factory=MetadataDigests)
    dolby_vision: MetadataDigests = field(default_factory=MetadataDigests)


@dataclass(frozen=True)
class ComparedMetadata:
    """Both sides of a finished job, read packet by packet."""

    source: DynamicFacts = field(default_factory=DynamicFacts)
    output: DynamicFacts = field(default_factory=DynamicFacts)


def digest(payload: bytes | None) -> bytes | None:
    """16 bytes that stand for a payload, so that a whole film fits into memory."""
    return None if payload is None else blake2b(payload, digest_size=16).digest()
