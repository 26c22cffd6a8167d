"""What this machine can do, one line each."""

from __future__ import annotations

from typing import Literal

from drapto.core.media import Value


class DoctorLine(Value):
    """`missing`: every encode needs it. `warning`: something works less well, or not at all
    if asked for. `advice` says what to do; empty when all is well."""

    name: str
    status: Literal["ok", "missing", "warning"]
    detail: str
    advice: str = ""
