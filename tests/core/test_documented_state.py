"""`docs/state.md` says what the journal and the metrics really hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

from drapto.core.checkpoint import Checkpoint
from drapto.core.entries import JournalEntry, parse_entry
from drapto.infrastructure.metrics import Metrics
from drapto.infrastructure.work_dir import SUB_DIRECTORIES

PAGE = (Path(__file__).parents[2] / "docs" / "state.md").read_text()


def test_every_documented_entry_is_one_and_every_entry_is_documented() -> None:
    examples = [json.loads(text) for text in re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)]
    parsed = [parse_entry(example) for example in examples]
    union = get_args(get_args(JournalEntry)[0])
    assert [type(entry) for entry in parsed] == [
        kind for name in re.findall(r"### `(\w+)`", PAGE) for kind in union if named(kind) == name
    ]
    assert {type(entry) for entry in parsed} == set(union)


def named(kind: type) -> str:
    default = kind.model_fields["entry"].default  # type: ignore[attr-defined]
    assert isinstance(default, str)
    return default


def test_every_key_of_the_checkpoint_is_documented() -> None:
    section = PAGE.split("## `checkpoint.json`")[1].split("\n## ")[0]
    assert set(re.findall(r"`(\w+)`", section)) >= set(Checkpoint().summary())


def test_every_sub_directory_is_documented() -> None:
    assert set(re.findall(r"^\| `(\w+)/`", PAGE, re.MULTILINE)) == set(SUB_DIRECTORIES)


def test_every_metric_is_documented() -> None:
    section = PAGE.split("## Metrics")[1].split("\n## ")[0]
    exposed = {
        line.split()[2].removesuffix("_created")
        for line in Metrics().text().decode().splitlines()
        if line.startswith("# TYPE") and not line.split()[2].endswith("_created")
    }
    assert exposed == set(re.findall(r"`(drapto_\w+?)(?:\{[\w,]+\})?`", section))
