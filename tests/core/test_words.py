"""Numbers and notes as people say them."""

from __future__ import annotations

from drapto.core.words import count, sentence, size


def test_one_of_a_thing_has_no_plural() -> None:
    assert [count(n, "segment") for n in (0, 1, 2)] == ["0 segments", "1 segment", "2 segments"]


def test_sizes_have_one_decimal_and_binary_units() -> None:
    said = [size(n) for n in (0, 1023, 1024, 1.5 * 1024**3)]
    assert said == ["0 B", "1023 B", "1.0 KiB", "1.5 GiB"]


def test_note_becomes_a_sentence_and_stays_one() -> None:
    assert sentence("there are no timestamps") == "There are no timestamps."
    assert sentence("Two of them.") == "Two of them."
