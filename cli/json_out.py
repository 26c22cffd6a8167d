"""JSON for programs: one object a line, ASCII only, so that no file name can break it."""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic import BaseModel


def to_json(value: BaseModel | dict[str, Any]) -> str:
    """One line. Paths and fractions ('24000/1001') are strings, sets sorted lists; numbers
    that are none (NaN, infinity) are null."""
    data = value.model_dump() if isinstance(value, BaseModel) else value
    return json.dumps(_plain(data))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(_plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    return str(value)
