"""The kinds of value a setting can have, and how their text is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

if TYPE_CHECKING:
    from drapto.core.media import CropRect


def _auto_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and value.strip().lower() == "auto" else value


def _no_truth_value(value: Any) -> Any:
    """`preset = true` in a file would otherwise be taken as 1."""
    if isinstance(value, bool):
        raise ValueError("a number is wanted")
    return value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _path(value: Any) -> Any:
    if isinstance(value, str):
        if not value.strip():
            raise ValueError("a path is wanted")
        try:
            return Path(value).expanduser()
        except RuntimeError as error:  # '~' without a home directory
            raise ValueError(str(error)) from error
    return value


def _crop_text(value: Any) -> str:
    text = str(value).strip().lower()
    if text not in ("auto", "off"):
        parse_crop(text)
    return text


Number = BeforeValidator(_no_truth_value)
Auto = BeforeValidator(_auto_is_none)
Lower = BeforeValidator(_lower)
AnyPath = BeforeValidator(_path)
Crop = BeforeValidator(_crop_text)
OptionalPath = Annotated[Path | None, AnyPath]


def setting(default: Any, description: str, allowed: str, **constraints: Any) -> Any:
    """A field whose description and permitted values reach error messages and the docs."""
    return Field(
        default=default,
        description=description,
        json_schema_extra={"allowed": allowed},
        **constraints,
    )


def parse_crop(text: str) -> Literal["auto", "off"] | CropRect:
    """'auto', 'off' or 'W:H:X:Y' in luma samples of the coded frame. Raises ValueError."""
    from drapto.core.media import CropRect

    lowered = text.strip().lower()
    if lowered == "auto":
        return "auto"
    if lowered == "off":
        return "off"
    parts = lowered.split(":")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"{text!r} is not W:H:X:Y in whole pixels, such as 1920:800:0:140")
    width, height, x, y = (int(part) for part in parts)
    if not width or not height:
        raise ValueError(f"{text!r} leaves no picture")
    return CropRect(width=width, height=height, x=x, y=y)
