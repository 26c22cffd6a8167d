"""The pages about messages and settings are complete and true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter

from drapto.core.analysis import VideoAnalysis
from drapto.core.doctor import DoctorLine
from drapto.core.estimate import Estimate
from drapto.core.events import Event
from drapto.core.json_text import dumps
from drapto.core.media import MediaInfo
from drapto.core.offline import OfflineComparison
from drapto.core.shadow_report import ShadowReport
from drapto.core.verification import Verification
from drapto.infrastructure.settings import Settings, flag_name, load_settings
from tests.end_to_end import program

DOCS = Path(__file__).parents[2] / "docs"
EVENTS: tuple[type[BaseModel], ...] = get_args(get_args(Event)[0])


def sections(page: str) -> dict[str, str]:
    """Heading of the third level -> text below it."""
    parts = re.split(r"^#{2,3} (.*)$", (DOCS / page).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def fields_in(section: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def models_in(annotation: Any) -> set[type[BaseModel]]:
    """Every model that a field's annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for part in get_args(annotation) for model in models_in(part)}


def reachable(roots: tuple[type[BaseModel], ...]) -> set[type[BaseModel]]:
    found: set[type[BaseModel]] = set()
    todo = list(roots)
    while todo:
        model = todo.pop()
        for field in model.model_fields.values():
            new = models_in(field.annotation) - found
            found |= new
            todo += new
    return found


PRINTED = (MediaInfo, VideoAnalysis, OfflineComparison, ShadowReport, Verification, Estimate)
VALUES = reachable((*EVENTS, *PRINTED)) | {*PRINTED, DoctorLine}


@pytest.mark.parametrize("model", EVENTS, ids=lambda model: model.__name__)
def test_event_is_documented_field_by_field(model: type[BaseModel]) -> None:
    section = sections("message-formats.md")[model.model_fields["event"].default]
    assert fields_in(section) == list(model.model_fields)


@pytest.mark.parametrize("model", EVENTS, ids=lambda model: model.__name__)
def test_example_of_an_event_is_what_the_program_would_print(model: type[BaseModel]) -> None:
    section = sections("message-formats.md")[model.model_fields["event"].default]
    (example,) = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    event = TypeAdapter[BaseModel](Event).validate_json(example)
    assert type(event) is model
    assert json.loads(dumps(event)) == json.loads(example)


@pytest.mark.parametrize("model", sorted(VALUES, key=str), ids=lambda model: model.__name__)
def test_value_is_documented_field_by_field(model: type[BaseModel]) -> None:
    section = sections("message-formats.md")[model.__name__]
    assert fields_in(section) == list(model.model_fields)


def test_every_setting_is_documented_with_its_flag_and_default() -> None:
    table = {
        row[0].strip("`"): row[1:]
        for line in (DOCS / "configuration.md").read_text().splitlines()
        if line.startswith("| `")
        for row in [[cell.strip() for cell in line.strip("|").split("|")]]
    }
    assert set(table) == set(Settings.model_fields)
    shown = program.drapto("encode", "--help", COLUMNS="200").stdout
    for name, (flag, default, *_) in table.items():
        value = getattr(Settings(), name)
        own = flag_name(name) if value is not True else flag_name(f"no_{name}")
        has_flag = re.search(rf"{own}\s", shown) is not None
        assert flag.strip("`") == (own if has_flag else "")
        if not isinstance(value, Path) and value is not None:
            assert default.strip("`") == (
                str(value).lower() if isinstance(value, bool) else f"{value}".removesuffix(".0")
            )


def test_example_file_of_the_page_is_accepted(tmp_path: Path) -> None:
    text = (DOCS / "configuration.md").read_text()
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "drapto.toml").write_text("".join(examples))
    loaded = load_settings(config_file=tmp_path / "drapto.toml")
    assert {name for name, origin in loaded.origins.items() if origin.kind == "file"} == {
        "crf", "preset", "audio", "work_dir", "legacy_scripts_dir", "legacy_vmaf_target",
    }  # fmt: skip
