"""The public API is what `drapto/__init__.py` lists: importable, documented, light to import."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import drapto

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "python-api.md").read_text()
HEAVY = {"av", "cv2", "jinja2", "matplotlib", "numpy", "openfeature", "sqlite3", "torch"}
VALUES = {"Event", "__version__"}  # a union of types and a string: they have no docstring


def _type_checking_imports() -> dict[str, str]:
    """name -> module, as a type checker sees drapto/__init__.py."""
    tree = ast.parse((ROOT / "drapto" / "__init__.py").read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    return {
        alias.name: node.module or ""
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_every_listed_name_can_be_imported_and_no_other() -> None:
    assert len(drapto.__all__) == len(set(drapto.__all__))
    for name in drapto.__all__:
        assert getattr(drapto, name) is not None
    assert dir(drapto) == sorted(drapto.__all__)
    with pytest.raises(AttributeError, match="no attribute 'orchestrator'"):
        drapto.__getattr__("orchestrator")


def test_type_checkers_see_the_same_names_from_the_same_modules() -> None:
    seen = _type_checking_imports()
    assert {*seen, "__version__"} == set(drapto.__all__)
    for name, module in seen.items():
        assert getattr(sys.modules[module], name) is getattr(drapto, name)


def test_everything_that_public_calls_take_and_give_is_public() -> None:
    public = {name: getattr(drapto, name) for name in drapto.__all__}
    for owner in (drapto.Drapto, drapto.Run):
        for name, method in inspect.getmembers(owner, inspect.isfunction):
            if not name.startswith("_"):
                hints = typing.get_type_hints(method, localns=public, include_extras=True)
                for hint in hints.values():
                    assert _drapto_types(hint) <= set(public.values()), f"{owner} {name} {hint}"


def _drapto_types(hint: object) -> set[object]:
    if hint == drapto.Event:
        return {hint}
    found = {hint} if isinstance(hint, type) and hint.__module__.startswith("drapto") else set()
    return found.union(*(_drapto_types(part) for part in typing.get_args(hint)))


@pytest.mark.parametrize("name", sorted(set(drapto.__all__) - VALUES))
def test_every_public_name_has_a_docstring(name: str) -> None:
    value = getattr(drapto, name)
    own = vars(value).get("__doc__") if isinstance(value, type) else value.__doc__
    assert own and not own.startswith(f"{name}(")  # a dataclass makes one up


def test_docs_list_exactly_the_public_names() -> None:
    tables = PAGE.partition("## Every public name")[2]
    rows = re.findall(r"^\| (`.*?`) \|", tables, re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(listed) == sorted(drapto.__all__)


def test_docs_list_exactly_the_options_and_their_defaults() -> None:
    fields = {**drapto.EncodeOptions.model_fields, **drapto.RunOptions.model_fields}
    table = PAGE.partition("## Options")[2].partition("## Every public name")[0]
    rows = re.findall(r"^\| (`.*?`) \| (.*?) \|", table, re.MULTILINE)
    listed = {n: default for names, default in rows for n in re.findall(r"`(\w+)`", names)}
    assert set(listed) == set(fields)
    for name, said in listed.items():
        if said.startswith("`"):
            assert ast.literal_eval(said.strip("`")) == fields[name].default, name


def test_docs_give_every_error_its_exit_code() -> None:
    said = dict(re.findall(r"^\| `(\w+Error)` \| (\d+) \|", PAGE, re.MULTILINE))
    errors = {n for n in drapto.__all__ if n.endswith("Error")}
    assert said == {name: str(getattr(drapto, name).exit_code) for name in errors}


@pytest.mark.parametrize(
    "code",
    [
        "import drapto",
        "import drapto; drapto.__version__, dir(drapto), drapto.DraptoError, drapto.Settings",
        "import sys; sys.argv = ['drapto', '--version']; import cli.main; cli.main.main()",
    ],
)
def test_importing_drapto_and_asking_its_version_load_nothing_heavy(code: str) -> None:
    report = "import sys, json; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert "drapto" in loaded
    assert loaded & HEAVY == set()
