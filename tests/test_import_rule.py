"""The import rule of docs/architecture.md, held by import-linter and by reading core's imports."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_point_inwards() -> None:
    linted = _lint(ROOT)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert "0 broken" in linted.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("drapto/services/bad.py", "import drapto.infrastructure.process"),
        ("drapto/infrastructure/bad.py", "import drapto.services.segmentation.service"),
        ("drapto/core/bad.py", "import drapto.services.segmentation.service"),
        ("drapto/core/bad.py", "import anyio"),
        ("drapto/services/bad.py", "import cli.main"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, module: str, line: str) -> None:
    for name in ("drapto", "cli"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / module).write_text(line + "\n")
    linted = _lint(tmp_path)
    assert linted.returncode == 1
    assert module.replace("/", ".").removesuffix(".py") in linted.stdout


def test_core_imports_only_the_standard_library_pydantic_and_numpy() -> None:
    allowed = {*sys.stdlib_module_names, "pydantic", "numpy"}
    foreign = {
        f"{path.name}: {name}"
        for path in (ROOT / "drapto" / "core").rglob("*.py")
        for name in _imported(path)
        if name.split(".")[0] not in allowed and not name.startswith("drapto.core")
    }
    assert foreign == set()


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names
