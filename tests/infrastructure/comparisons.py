"""Comparisons and served stages with plain values, to be recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from drapto.core.comparison import Comparison, FieldResult, Outcome, Served, Severity
from drapto.core.routing import RoutedStage, Side

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAGE = RoutedStage.DETECTION


def field(
    name: str = "crop.top",
    distance: float = 3,
    severity: Severity = Severity.MISMATCH,
    tolerance: float = 2,
) -> FieldResult:
    return FieldResult(
        field=name, severity=severity, legacy="0 px", new="3 px", distance=distance,
        tolerance=tolerance,
    )  # fmt: skip


def critical(distance: float) -> tuple[FieldResult, ...]:
    return (field(distance=distance, severity=Severity.CRITICAL),)


EQUAL = field(distance=0, severity=Severity.WITHIN)


def comparison(number: int = 0, **changes: Any) -> Comparison:
    facts: dict[str, Any] = {
        "id": f"{number:012x}",
        "at": START + timedelta(hours=number),
        "job": f"job{number}",
        "source": Path("/films/in.mkv"),
        "stage": STAGE,
        "primary": Side.LEGACY,
        "candidate": Side.NEW,
        "outcome": Outcome.MATCH,
        "reason": "All of 9 fields compared are within their tolerances.",
        "fields": (EQUAL,),
        "primary_s": 10.0,
        "candidate_s": 5.0,
        "strata": ("sdr", "hd"),
        "revision": "1",
    }
    return Comparison(**(facts | changes))


def served(number: int = 0, **changes: Any) -> Served:
    facts: dict[str, Any] = {
        "at": START + timedelta(hours=number), "job": f"job{number}", "stage": STAGE,
        "side": Side.NEW, "wall_s": 3.5, "frames": 100, "revision": "1",
    }  # fmt: skip
    return Served(**(facts | changes))
