"""Every encoder by its name.

A new one joins here and in tests/services/test_encoder_contract.py.
"""

from __future__ import annotations

from difflib import get_close_matches

from drapto.core.errors import UsageError
from drapto.core.interfaces import Encoder
from drapto.services.encoding.svt_av1 import SvtAv1
from drapto.services.encoding.x26x import X264, X265

ENCODERS: dict[str, Encoder] = {encoder.name: encoder for encoder in (SvtAv1(), X265(), X264())}


def encoder_named(name: str) -> Encoder:
    """Errors: UsageError with the nearest name."""
    if name in ENCODERS:
        return ENCODERS[name]
    near = get_close_matches(name, ENCODERS, n=1)
    raise UsageError(
        f"There is no encoder called '{name}'.",
        hint=f"Did you mean '{near[0]}'?" if near else f"Choose one of {', '.join(ENCODERS)}.",
    )
