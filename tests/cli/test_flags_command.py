"""`drapto flags …`: the real command in a real process, and what its page promises."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from drapto.core.flag_overrides import AuditEntry
from drapto.core.flag_policy import (
    FlagSet,
    GatePolicy,
    Ignore,
    RollbackPolicy,
    ShadowPolicy,
    StageFlag,
    Tolerances,
)
from drapto.core.flag_rules import When
from drapto.core.routing import SourceFacts
from drapto.infrastructure.flags.reading import parse_flags
from tests.end_to_end import program

PAGE = (Path(__file__).parents[2] / "docs" / "flags.md").read_text()


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.upper().startswith("DRAPTO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def flags(*arguments: str, code: int = 0) -> tuple[str, str]:
    done = program.drapto_here("flags", *arguments)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def listed(stage: str = "detection") -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(flags("list", "--json")[0])["stages"][stage]
    return shown


def test_fresh_user_is_served_by_new_everywhere() -> None:
    shown, said = flags("list")
    assert "(the one Drapto comes with)" in shown
    assert [line.split()[:3] for line in shown.splitlines()[2:]] == [
        [stage, "new", "all"] for stage in ("detection", "segmentation", "encoding")
    ]
    assert said == ""


def test_set_writes_an_override_and_says_how_to_make_it_permanent(own_world: Path) -> None:
    file = own_world / "here" / "flags.toml"
    file.write_text('schema = 1\n[stage.detection]\nmode = "shadow"\n')
    _, said = flags("set", "detection", "canary", "--percent", "12.5", "--why", "It looks well.")
    assert "detection is canary and new serves 12.5 % from the next job on (it was shadow)" in said
    assert f'write mode = "canary" and percent = 12.5 under [stage.detection] in {file};' in said
    assert file.read_text() == 'schema = 1\n[stage.detection]\nmode = "shadow"\n'
    assert (listed()["mode"], listed()["percent"], listed()["in_file"]) == (
        "canary", 12.5, "shadow",
    )  # fmt: skip
    (entry,) = json.loads(flags("history", "--json")[0])
    assert (entry["before"], entry["after"]) == ("shadow", "canary 12.5 %")
    assert entry["why"] == "It looks well."


def test_nobody_is_told_to_edit_the_file_that_an_update_replaces(own_world: Path) -> None:
    _, said = flags("set", "detection", "shadow")
    assert f"at {own_world / 'config' / 'drapto' / 'flags.toml'};" in said


@pytest.mark.slow
def test_disabled_stage_stays_so_until_it_is_reset() -> None:
    flags("disable", "detection", "--why", "The crop is off.")
    assert listed()["mode"] == "rolled_back"
    assert "The crop is off" in listed()["because"]
    _, refused = flags("set", "detection", "new", code=2)
    assert "`drapto flags reset detection` takes the rollback back" in refused
    assert "decides about detection from the next job on: new" in flags("reset", "detection")[1]
    assert listed()["mode"] == "new"
    history, _ = flags("history", "--stage", "detection")
    assert [line.split()[3:6] for line in history.splitlines()[1:]] == [
        ["new", "→", "rolled_back"],
        ["rolled_back", "→", "new"],
    ]
    assert "Nothing was set" in flags("reset", "detection")[1]


def test_new_revision_in_the_file_ends_a_rollback(own_world: Path) -> None:
    flags("disable", "detection")
    (own_world / "here" / "flags.toml").write_text(
        'schema = 1\nstage.detection.candidate_revision = "2"\n'
    )
    assert listed()["mode"] == "new"
    assert "for revision 1 (no longer counts)" in flags("show", "detection")[0]


def test_show_has_every_key_in_force(own_world: Path) -> None:
    (own_world / "here" / "flags.toml").write_text(
        "schema = 1\nkill_switch = true\n[stage.encoding]\n"
        'rules = [{ when = { codec = "h264" }, mode = "legacy" }]\n'
    )
    shown, _ = flags("show", "encoding")
    assert re.search(r"^rules 1 +when\.codec h264, mode legacy", shown, re.MULTILINE)
    assert re.search(r"^gate\.looks +100, 200, 400", shown, re.MULTILINE)
    whole = json.loads(flags("show", "encoding", "--json")[0])
    assert whole["kill_switch"] is True
    assert set(whole["flag"]) == set(StageFlag.model_fields)
    assert "THE KILL SWITCH IS ON" in flags("list")[0]
    assert "all, but for 1 rule" in flags("list")[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "detecton"], "'detecton' is no stage. Did you mean 'detection'?"),
        (["set", "detection", "canry"], "'canry' is no mode. Did you mean 'canary'?"),
        (["set", "detection", "rolled_back"], "`drapto flags disable STAGE`"),
        (["set", "detection", "new", "--percent", "5"], "--percent goes with the mode canary"),
        (["set", "detection", "canary", "--percent", "101"], "--percent cannot be 101"),
        (["set", "detection", "canary", "--percent", "nan"], "--percent cannot be nan"),
        (["check", "none.toml"], "none.toml (named) cannot be read: No such file"),
    ],
)
def test_wrong_argument_is_said_and_nothing_is_written(
    arguments: list[str], said: str, own_world: Path
) -> None:
    assert said in flags(*arguments, code=2)[1]
    assert not (own_world / "state").exists()


def test_check_names_lines_and_what_has_expired(own_world: Path) -> None:
    file = own_world / "mine.toml"
    file.write_text("schema = 1\n\n[stage.detection]\nmoed = 'new'\n")
    assert f"{file}, line 4: 'stage.detection.moed'" in flags("check", str(file), code=2)[1]
    file.write_text(
        "schema = 1\n[stage.detection]\nexpires = 2020-01-31\n"
        'ignore = [{ field = "cuts[0]", reason = "known", expires = 2020-01-01 }]\n'
    )
    shown, said = flags("check", str(file))
    assert "is valid with 2 warnings" in shown
    assert "The flag of detection expired on 2020-01-31" in said
    assert "The ignore of cuts[0] in detection expired on 2020-01-01" in said
    assert len(json.loads(flags("check", str(file), "--json")[0])["warnings"]) == 2


def test_damaged_overrides_are_a_warning(own_world: Path) -> None:
    flags("disable", "detection")
    (own_world / "state" / "drapto" / "flags" / "overrides.json").write_text("{")
    shown, said = flags("list")
    assert "rolled back by" in shown
    assert "Warning: The overrides of flags were damaged and are kept as" in said
    assert flags("list")[1] == ""


def rows(heading: str) -> dict[str, str]:
    """Key -> default of the first table after a text of the page."""
    table = PAGE.partition(heading)[2].partition("|")[2].partition("\n\n")[0]
    found = re.findall(r"^\| (`[^|]+) \| ([^|]*) \|", table, re.MULTILINE)
    return {key: cell for keys, cell in found for key in re.findall(r"`(\w+)`", keys)}


@pytest.mark.parametrize(
    ("heading", "model", "tables"),
    [
        ("### Keys at the top", FlagSet, {"detection", "segmentation", "encoding"}),
        ("### Keys of ", StageFlag, {"shadow", "compare", "gate", "rollback"}),
        ("`shadow = {", ShadowPolicy, set()),
        ("`compare = {", Tolerances, set()),
        ("`ignore = [", Ignore, set()),
        ("`gate = {", GatePolicy, set()),
        ("`rollback = {", RollbackPolicy, set()),
    ],
)
def test_every_key_is_on_the_page_with_its_default(
    heading: str, model: type[BaseModel], tables: set[str]
) -> None:
    said = rows(heading)
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    assert set(said) == set(fields) - tables
    for key, cell in said.items():
        default = fields[key].default
        if key == "schema" or default is PydanticUndefined:
            assert cell == "must be there"
        elif default is None:
            assert cell == "none"
        else:
            value = tomllib.loads(f"v = {cell.strip('`')}")["v"]
            assert json.dumps(value) == json.dumps(model().model_dump(mode="json")[key])


def test_every_condition_and_field_of_the_audit_log_is_on_the_page() -> None:
    assert list(rows("### Rules")) == [
        *("path", "container", "codec", "dynamic_range", "interlaced"),
        *("min_width", "max_width", "min_height", "max_height"),
        *("min_duration_s", "max_duration_s", "priority"),
    ]
    assert set(rows("### Rules")) == set(When.model_fields)
    audit = PAGE.partition("Each line of the audit log")[2].partition("\n\n")[2]
    fields = re.findall(r"^\| (`[^|]+) \|", audit.partition("\n\n")[0], re.MULTILINE)
    said = [name for cell in fields for name in re.findall(r"`(\w+)`", cell)]
    assert said == list(AuditEntry.model_fields)
    attributes = PAGE.partition("the attributes are")[2].partition("(a list")[0]
    assert set(re.findall(r"`(\w+)`", attributes)) == {
        "stage", "strata", *SourceFacts.model_fields,
    }  # fmt: skip


def test_example_of_the_page_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert len(parse_flags(example.encode(), tmp_path / "f").detection.rules) == 2
