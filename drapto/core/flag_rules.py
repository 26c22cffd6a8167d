"""Which jobs a rule of `flags.toml` is meant for: conditions on what is known of a source.

    When(dynamic_range="dolby_vision", min_width=3840).matches(facts)

All conditions of one `when` must hold; where one lists several values, any of them will do.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from drapto.core.media import DynamicRange, Value
from drapto.core.routing import SourceFacts

Priority = Literal["low", "normal", "high"]


def _as_tuple(value: Any) -> Any:
    """A single value is a list of one."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _dynamic_ranges(values: Any) -> Any:
    known = [item.value for item in DynamicRange]
    for value in (values := _as_tuple(values)):
        if value not in known:
            raise ValueError(f"{value!r} is none of {', '.join(known)}")
    return tuple(DynamicRange(value) for value in values)


def _whole_paths(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if not pattern.startswith(("/", "*", "?", "[")):
            raise ValueError(
                f"{pattern!r} can match nothing: it is held against the whole path, "
                "so it begins with '/' or '*'"
            )
    return patterns


OneOrMore = BeforeValidator(_as_tuple)
Pixels = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class When(Value):
    """The conditions of one rule. None: whatever it is. Bounds are inclusive."""

    path: Annotated[tuple[str, ...], OneOrMore, AfterValidator(_whole_paths)] | None = None
    container: Annotated[tuple[str, ...], OneOrMore] | None = None
    codec: Annotated[tuple[str, ...], OneOrMore] | None = None
    dynamic_range: Annotated[tuple[DynamicRange, ...], BeforeValidator(_dynamic_ranges)] | None = (
        None
    )
    priority: Annotated[tuple[Priority, ...], OneOrMore] | None = None
    interlaced: bool | None = None
    min_width: Pixels | None = None
    max_width: Pixels | None = None
    min_height: Pixels | None = None
    max_height: Pixels | None = None
    min_duration_s: Seconds | None = None
    max_duration_s: Seconds | None = None

    @model_validator(mode="after")
    def _can_match(self) -> Self:
        for name in ("width", "height", "duration_s"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if low is not None and high is not None and low > high:
                raise ValueError(f"min_{name} is above max_{name}, so nothing can match")
        return self

    def matches(self, facts: SourceFacts) -> bool:
        """In a glob, `*` stands for any characters, '/' among them; case counts."""
        path = str(facts.path)
        return all(
            (
                self.path is None or any(fnmatchcase(path, pattern) for pattern in self.path),
                # ffmpeg names families of containers: 'mov,mp4,m4a,3gp,3g2,mj2'
                self.container is None or bool({*self.container} & {*facts.container.split(",")}),
                self.codec is None or facts.codec in self.codec,
                self.dynamic_range is None or facts.dynamic_range in self.dynamic_range,
                self.priority is None or facts.priority in self.priority,
                self.interlaced is None or facts.interlaced is self.interlaced,
                _within(facts.width, self.min_width, self.max_width),
                _within(facts.height, self.min_height, self.max_height),
                _within(facts.duration_s, self.min_duration_s, self.max_duration_s),
            )
        )

    def __str__(self) -> str:
        """'dynamic_range dolby_vision and min_width 3840'."""
        said = self.model_dump(mode="json", exclude_none=True)
        parts = [
            f"{name} {' or '.join(map(str, value))}"
            if isinstance(value, list)
            else f"{name} {str(value).lower()}"
            for name, value in said.items()
        ]
        return " and ".join(parts) or "any job"


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)
