"""The text of a flags file into a FlagSet, or every fault of it with its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from drapto.core.errors import UsageError
from drapto.core.flag_policy import FlagSet
from drapto.core.routing import RoutedStage
from drapto.infrastructure.flags.toml_lines import line_of
from drapto.infrastructure.settings_file import did_you_mean
from drapto.infrastructure.toml_text import parse_toml

TOP_KEYS = ("schema", "kill_switch", "stage")
_MOST_FAULTS = 5  # one message is read at a time; the next run names the rest
_HINT = "docs/flags.md has every key; `drapto flags check FILE` tries a file."

Where = tuple[str | int, ...]


def parse_flags(data: bytes, path: Path) -> FlagSet:
    """Errors: UsageError that names the file, the line and what is wrong, for every fault."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}, line {line}: this is not UTF-8 text.", hint=_HINT) from error
    try:
        table = parse_toml(text)
    except ValueError as error:
        raise UsageError(f"{path} is not valid TOML: {error}.", hint=_HINT) from error
    if faults := list(_misplaced(table)):
        raise _refusal(path, text, faults)
    flat = {k: v for k, v in table.items() if k != "stage"} | table.get("stage", {})
    try:
        # As JSON, so that pydantic can be strict (no "yes" for true) and still take lists and dates
        return FlagSet.model_validate_json(json.dumps(flat, default=str), strict=True)
    except ValidationError as error:
        raise _refusal(path, text, (_fault(dict(e)) for e in error.errors())) from error


def _refusal(path: Path, text: str, faults: Iterable[tuple[Where, str]]) -> UsageError:
    placed = sorted({(line_of(text, where) or 0, what) for where, what in faults})
    said = [f"{path}, line {n}: {what}" if n else f"{path}: {what}" for n, what in placed]
    more = len(said) - _MOST_FAULTS
    said = [*said[:_MOST_FAULTS], f"And {more} more."] if more > 0 else said
    return UsageError(" ".join(said), hint=_HINT)


def _misplaced(table: dict[str, Any]) -> Iterable[tuple[Where, str]]:
    """Faults of the outermost two levels, which FlagSet does not have in this shape."""
    stages = [stage.value for stage in RoutedStage]
    if "schema" not in table:
        yield (
            (),
            "`schema = 1` is missing; it tells a flags file from an empty or half-written one.",
        )
    for key, value in table.items():
        if key in stages and isinstance(value, dict):
            yield (key,), f"'{key}' stands in the wrong place: the table is [stage.{key}]."
        elif key not in TOP_KEYS:
            yield (key,), _unknown(key, key, TOP_KEYS)
    stage = table.get("stage", {})
    if not isinstance(stage, dict):
        yield ("stage",), f"'stage' is no table; write [stage.{stages[0]}]."
        return
    for key in stage:
        if key not in stages:
            yield ("stage", key), _unknown(f"stage.{key}", key, stages)


def _fault(error: dict[str, Any]) -> tuple[Where, str]:
    """Where in the file, and one sentence."""
    found: Where = tuple(error["loc"])
    where = ("stage", *found) if found and found[0] in list(RoutedStage) else found
    name = _dotted(where)
    if error["type"] == "extra_forbidden":
        return where, _unknown(name, str(found[-1]), _keys_beside(found))
    if error["type"] == "missing":
        return where, f"'{name}' is missing."
    reason = str(error["msg"]).removeprefix("Value error, ").rstrip(".")
    reason = reason[:1].lower() + reason[1:]
    value = error["input"]
    if isinstance(value, dict | list):
        return where, f"'{name}' cannot be so: {reason}."
    near = did_you_mean(str(value), {*re.findall(r"'([^']+)'", reason)} - {str(value)})
    shown = json.dumps(value, ensure_ascii=False)
    return where, f"'{name}' cannot be {shown}: {reason}. {near}".rstrip()


def _unknown(name: str, key: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = did_you_mean(key, known) or f"Known are: {', '.join(known)}."
    return f"'{name}' is not a key of flags. {near}"


def _dotted(path: Sequence[str | int]) -> str:
    """stage.detection.rules[0].mode"""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).removeprefix(".")


def _keys_beside(path: Where) -> Iterable[str]:
    """The keys that the table which `path` leads into can have."""
    model: type[BaseModel] = FlagSet
    for part in path[:-1]:
        if isinstance(part, str):
            model = _model_in(model.model_fields[part].annotation) or model
    return model.model_fields


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for part in get_args(annotation) if (m := _model_in(part))), None)
