"""JSON that any reader takes, and that gives back what was written."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drapto.core.json_text import dumps, escape, loads


@given(st.binary(max_size=20))
@example(b"caf\xe9")
@example(rb"caf\xe9")
@example(rb"\\xe9\x5c" + b"\xff")
@example("Übung 日本".encode() + b"\xc3")
def test_name_of_any_bytes_is_valid_utf_8_and_read_back_as_it_was(name: bytes) -> None:
    text = os.fsdecode(name)
    for ascii_only in (True, False):
        data = dumps({"path": text}, ascii_only=ascii_only).encode("utf-8")
        json.dumps(json.loads(data), ensure_ascii=False).encode("utf-8")  # no lone surrogates
        assert os.fsencode(loads(data)["path"]) == name


@given(st.text())
def test_two_texts_never_become_the_same(text: str) -> None:
    assert loads(dumps(text)) == text


@pytest.mark.parametrize(
    ("name", "written"),
    [
        (b"caf\xe9.mkv", r"caf\xe9.mkv"),
        (rb"caf\xe9.mkv", r"caf\x5cxe9.mkv"),
        (rb"back\slash\xyz", r"back\slash\xyz"),
        ("café".encode(), "café"),
    ],
)
def test_only_what_is_no_text_or_looks_escaped_is_escaped(name: bytes, written: str) -> None:
    assert escape(os.fsdecode(name)) == written


def test_half_of_a_character_is_replaced() -> None:
    assert dumps("a\ud83d", ascii_only=False) == '"a\ufffd"'


def test_number_that_is_none_becomes_null_and_the_rest_plain() -> None:
    assert dumps({"a": float("nan"), "b": float("inf"), "c": {2, 1}}) == (
        '{"a": null, "b": null, "c": [1, 2]}'
    )
    assert dumps((Path("/a"), Fraction(24000, 1001), None, True)) == (
        '["/a", "24000/1001", null, true]'
    )


def test_times_are_written_as_iso_8601() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)
    assert loads(dumps({"at": at})) == {"at": "2026-01-02T03:04:05.000600+00:00"}
    assert loads(dumps(at.date())) == "2026-01-02"
