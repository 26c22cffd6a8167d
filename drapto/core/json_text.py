r"""JSON that any reader takes: everything that leaves Drapto as JSON is written and read here.

A file name is bytes, and not always UTF-8. Python holds such a byte as a lone surrogate, which
JSON can spell but most readers refuse. So a byte 0xe9 that is no text is written as the four
characters `\xe9`, and a backslash that would otherwise read as such an escape as `\x5c`. All
other text is written as it is, and every text is read back as it was.

    dumps(Path(os.fsdecode(b"caf\xe9.mkv")))  # "caf\\xe9.mkv", in quotation marks
    loads(dumps(value)) == value              # for what JSON can hold
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import BaseModel

_TO_ESCAPE = re.compile(r"[\ud800-\udfff]|\\(?=x[0-9a-f]{2})")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")
_FIRST_BYTE, _SURROGATE = 0x80, 0xDC00  # PEP 383: the byte b, 0x80 or more, is U+DC00 + b


def dumps(value: Any, *, indent: int | None = None, ascii_only: bool = True) -> str:
    """Paths, fractions ('24000/1001') and other objects become strings, times those of ISO 8601,
    sets sorted lists, numbers that are none (NaN, infinity) null. With `indent` spaces over
    lines, else on one."""
    return json.dumps(_plain(value), indent=indent, ensure_ascii=ascii_only, allow_nan=False)


def loads(text: str | bytes) -> Any:
    """What `dumps` wrote. Errors: ValueError if it is no JSON, or nested too deeply to be read."""
    try:
        return _restored(json.loads(text))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def escape(text: str) -> str:
    r"""`caf\xe9` for a name that holds the byte 0xe9 where it is no UTF-8."""
    return _TO_ESCAPE.sub(_escape_one, text)


def unescape(text: str) -> str:
    """The text that `escape` was given."""
    return _ESCAPED.sub(_unescape_one, text)


def _escape_one(found: re.Match[str]) -> str:
    code = ord(found[0])
    if _SURROGATE + _FIRST_BYTE <= code <= _SURROGATE + 0xFF:
        code -= _SURROGATE
    elif code != ord("\\"):
        return "\ufffd"  # half of a character: no file name gives that
    return f"\\x{code:02x}"


def _unescape_one(found: re.Match[str]) -> str:
    byte = int(found[1], 16)
    return chr(_SURROGATE + byte if byte >= _FIRST_BYTE else byte)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    if isinstance(value, Mapping):
        return {escape(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(_plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    return value.isoformat() if isinstance(value, date) else escape(str(value))


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return {unescape(key): _restored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_restored(item) for item in value]
    return unescape(value) if isinstance(value, str) else value
