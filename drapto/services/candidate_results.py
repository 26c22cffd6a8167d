"""Reads what the process of a candidate left behind: a result, or one plain sentence why not.

Nothing of it is trusted: not its type, not its depth, not its numbers, not the file it names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from drapto.core.json_text import loads
from drapto.core.routing import RoutedStage
from drapto.core.shadow_task import CandidateEnd, CandidateResult, Measured, ShadowTask
from drapto.core.words import shortened

_LARGEST = 2**53  # up to here every reader of JSON agrees on a whole number (RFC 8259, section 6)


def parse_result(
    task: ShadowTask, payload: bytes, place: Path
) -> tuple[CandidateResult | None, str]:
    """The result if it is one, else why not. `place` is that of the shadow run."""
    try:
        result = CandidateResult.model_validate(_values(payload))
    except ValidationError as error:
        return None, f"Its result is of the wrong type: {_first(error)}."
    except ValueError as error:
        return None, f"Its result is no JSON that means anything: {shortened(str(error))}."
    wanted = {
        RoutedStage.DETECTION: result.analysis,
        RoutedStage.SEGMENTATION: result.segments,
        RoutedStage.ENCODING: result.output,
    }[task.stage]
    if wanted is None:
        return None, f"Its result holds no {task.stage}."
    return (None, fault) if (fault := _wrong_file(task, result, place)) else (result, "")


def parse_measured(end: CandidateEnd | None) -> Measured | str:
    """What was measured, or one plain sentence why nothing was."""
    if end is None or end.timed_out:
        return "The two files could not be measured in time."
    if end.payload is None:
        return f"The two files could not be measured: {end.fault}."
    try:
        return Measured.model_validate(_values(end.payload))
    except ValidationError as error:
        return f"The two files could not be measured: {_first(error)}."
    except ValueError as error:
        return f"The two files could not be measured: {shortened(str(error))}."


def _wrong_file(task: ShadowTask, result: CandidateResult, place: Path) -> str:
    if task.stage is not RoutedStage.ENCODING:
        return ""
    output = task.candidate_output(place)
    if result.output != output or output.is_symlink():
        return "It named a file that is not the one it was to make."
    return "" if output.is_file() else "It wrote no output."


def _values(payload: bytes) -> Any:
    """Errors: ValueError for what is no JSON, or holds what no measurement can."""
    values = loads(payload)
    for number in _numbers(values):
        if not math.isfinite(number) or abs(number) > _LARGEST:
            raise ValueError(f"{number:.3g} is no sensible number")
    return values


def _numbers(values: Any) -> Iterator[int | float]:
    waiting = [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, int | float):
            yield value


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"])) or "the whole"
    return f"{shortened(where)}: {shortened(first['msg'])}"
