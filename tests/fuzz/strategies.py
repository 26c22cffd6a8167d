"""Inputs that are nearly right, which is where parsers err; and how long to look."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

T = TypeVar("T")

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
_NO_HANG = timedelta(seconds=20)  # of one input; a busy machine is slow, but not that slow


def fuzzed(test: Callable[..., T]) -> Callable[..., T]:
    return settings(
        max_examples=EXAMPLES,
        deadline=_NO_HANG,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.function_scoped_fixture,
            HealthCheck.large_base_example,
            HealthCheck.data_too_large,
        ],
    )(test)


@st.composite
def mutated(draw: st.DrawFn, sample: bytes) -> bytes:
    """`sample` with a few bytes changed, cut out, put in or repeated, or cut off."""
    data = bytearray(sample)
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 64)))
        kind = draw(st.sampled_from(["flip", "put", "cut", "repeat", "end", "fill"]))
        if kind == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "put":
            data[at:at] = draw(st.binary(max_size=64))
        elif kind == "cut":
            del data[at:end]
        elif kind == "repeat":
            data[at:at] = data[at:end] * draw(st.integers(1, 40))
        elif kind == "end":
            del data[at:]
        else:
            data[at:end] = bytes((draw(st.sampled_from([0, 0xFF])),)) * (end - at)
    return bytes(data)


DEEP = b"[" * 100_000
LONG_NUMBER = b"9" * 5000

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, -(2**63) - 1, 10**400, -1]),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["", "\ud800", "\\xe9", "\x00", "²", "1/0", "nan", "2026-01-01"]),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def altered(draw: st.DrawFn, document: Any) -> Any:
    """A JSON value with a few of its parts replaced, taken away, or joined by others."""
    whole = {"": json.loads(json.dumps(document))}
    for _ in range(draw(st.integers(1, 4))):
        place: Any = whole
        key: Any = ""
        while isinstance(place[key], dict | list) and place[key] and draw(st.integers(0, 4)):
            place = place[key]
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key = draw(st.sampled_from(list(keys)))
        match draw(st.sampled_from(["replace", "remove", "join"])):
            case "replace":
                place[key] = draw(JSON)
            case "remove" if place is not whole:
                del place[key]
            case _ if isinstance(place, dict) and place is not whole:
                place[draw(st.text(max_size=8))] = draw(JSON)
    return whole[""]


def documents(sample: Any) -> st.SearchStrategy[bytes]:
    """JSON texts: nearly like `sample`, or damaged, or hostile."""
    text = json.dumps(sample).encode()
    return st.one_of(
        altered(sample).map(lambda value: json.dumps(value).encode()),
        mutated(text),
        st.binary(max_size=100),
        st.sampled_from([b"", b"null", b"[]", b'"x"', DEEP, LONG_NUMBER, b'{"a":' * 20_000]),
    )
