"""Every promise in docs/security.md names a file of tests that is there."""

from __future__ import annotations

import re

from tests.end_to_end.program import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
PROMISED = PAGE.partition("## What is promised")[2].partition("## What is not promised")[0]


def test_every_promise_names_a_test_that_is_there() -> None:
    rows = [row for row in PROMISED.splitlines() if re.match(r"\| (?!---|(promise|what) \|)", row)]
    assert len(rows) >= 20
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)`", row.split(" | ")[-1])
        assert named, row
        assert all((ROOT / path).is_file() for path in named), row


def test_the_front_page_and_the_architecture_lead_to_it() -> None:
    assert "(docs/security.md)" in (ROOT / "README.md").read_text()
    assert "(security.md)" in (ROOT / "docs" / "architecture.md").read_text()
