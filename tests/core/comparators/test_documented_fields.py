"""`docs/shadow-fields.md` names every field that comparing yields, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from drapto.core.comparators.detection import compare_detection
from drapto.core.comparators.encoding import compare_encoding
from drapto.core.comparators.segmentation import compare_segmentation
from drapto.core.comparators.verdict import family
from drapto.core.comparison import FieldResult
from tests.core.comparators.examples import TRACKS, analysis, output, segments, terms

PAGE = (Path(__file__).parents[3] / "docs" / "shadow-fields.md").read_text()


def named_in(section: str) -> set[str]:
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name.replace("[i]", "[*]") for c in cells for name in re.findall(r"`([^`]+)`", c)}


def families(fields: tuple[FieldResult, ...]) -> set[str]:
    return {family(field.field) for field in fields}


def test_every_field_of_detection() -> None:
    fields = compare_detection(
        analysis(), analysis((50,)), terms(), width=1920, height=1080, frames=240
    )
    assert families(fields) == named_in("Detection")


def test_every_field_of_segmentation() -> None:
    fields = compare_segmentation(segments(0, 50, 240), segments(0, 240), terms(), frames=240)
    assert families(fields) == named_in("Segmentation")


def test_every_field_of_encoding() -> None:
    fields = compare_encoding(output(), output(TRACKS[:3]), terms())
    found = {name for name in families(fields) if not name.startswith("color.")} | {"color.*"}
    assert found == named_in("Encoding")
