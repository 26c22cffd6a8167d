"""Every encoder by its name.

A new one joins here and in tests/services/test_encoder_contract.py.
"""

from __future__ import annotations

from difflib import get_close_matches

from drapto.core.errors import UsageError
from drapto.core.interfaces import Encoder
from drapto.services.encoding.hardware import (
    AV1_AMF,
    AV1_NVENC,
    AV1_QSV,
    AV1_VAAPI,
    HEVC_NVENC,
)
from drapto.services.encoding.svt_av1 import SvtAv1
from drapto.services.encoding.x26x import X264, X265

_ALL: tuple[Encoder, ...] = (
    SvtAv1(), X265(), X264(), AV1_NVENC, AV1_QSV, AV1_VAAPI, AV1_AMF, HEVC_NVENC,
)  # fmt: skip
ENCODERS: dict[str, Encoder] = {encoder.name: encoder for encoder in _ALL}

AUTO = "auto"
"""Instead of a name: the first of IN_ORDER that works here."""

IN_ORDER: tuple[Encoder, ...] = (AV1_NVENC, AV1_QSV, AV1_VAAPI, AV1_AMF, ENCODERS["svt-av1"])
"""All make AV1, so that the container, the tracks and the segments are the same with each. The last
needs no device. VA-API comes after Quick Sync, which drives the same cards of Intel's better."""


def encoder_named(name: str) -> Encoder:
    """Errors: UsageError with the nearest name."""
    if name in ENCODERS:
        return ENCODERS[name]
    near = get_close_matches(name, ENCODERS, n=1)
    raise UsageError(
        f"There is no encoder called '{name}'.",
        hint=f"Did you mean '{near[0]}'?" if near else f"Choose one of {', '.join(ENCODERS)}.",
    )


def possible_encoders(name: str) -> tuple[Encoder, ...]:
    """Those that `--encoder name` may come to. Errors: UsageError."""
    return IN_ORDER if name == AUTO else (encoder_named(name),)


def codec_of(name: str) -> str:
    """ffmpeg's name of the codec that `--encoder name` makes. Errors: UsageError."""
    return possible_encoders(name)[-1].codec
