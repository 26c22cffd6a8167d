"""The set-up scripts, run for real on a small project, and what the wheel of this one holds.

The small project has the scripts of this checkout, a pyproject.toml without dependencies and a
build backend of its own, so that a whole set-up takes seconds and needs no network.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib import metadata
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import pytest

from drapto._version import __version__

ROOT = Path(__file__).resolve().parent.parent

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "drapto"
version = "0"
dependencies = []

[project.optional-dependencies]
dev = []

[project.scripts]
drapto = "small:main"
"""

# PEP 660. A named pipe called `gate` holds the build up until something is written into it.
BACKEND = """\
import base64, hashlib, pathlib, zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    here = pathlib.Path.cwd()
    if (here / "gate").exists():
        (here / "gate").read_text()
    info = "drapto-0.dist-info/"
    files = {
        "drapto.pth": str(here),
        info + "METADATA": "Metadata-Version: 2.1\\nName: drapto\\nVersion: 0\\n",
        info + "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        info + "entry_points.txt": "[console_scripts]\\ndrapto = small:main\\n",
    }
    record = "".join(f"{name},,\\n" for name in [*files, info + "RECORD"])
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / "drapto-0-py3-none-any.whl", "w") as whl:
        for name, text in {**files, info + "RECORD": record}.items():
            whl.writestr(name, text)
    return "drapto-0-py3-none-any.whl"
"""

SMALL = """\
import sys

def main():
    print("small", *sys.argv[1:])
    sys.exit(7 if "fail" in sys.argv else 0)
"""


class Checkout:
    """A small project with this checkout's scripts, under a path that is awkward on purpose."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "it's a checkout $HOME"
        shutil.copytree(ROOT / "scripts", self.root / "scripts")
        (self.root / "pyproject.toml").write_text(PYPROJECT)
        (self.root / "backend.py").write_text(BACKEND)
        (self.root / "small.py").write_text(SMALL)

    @property
    def drapto(self) -> Path:
        return self.root / "scripts" / "drapto"

    def start(self, *args: str, path: str | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.drapto, *args],
            env={**os.environ, "PATH": path or os.environ["PATH"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def call(self, *args: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
        process = self.start(*args, path=path)
        out, err = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout that has been set up by one call; for tests that do not change it."""
    checkout = Checkout(tmp_path_factory.mktemp("ready"))
    first = checkout.call("first call", "fail")
    assert first.stdout == "small first call fail\n"  # what set-up says is on stderr
    assert first.returncode == 7
    assert "making" in first.stderr
    return checkout


def test_second_call_sets_nothing_up_and_starts_only_readlink(
    ready: Checkout, tmp_path: Path
) -> None:
    for program in ("bash", "readlink"):  # no python3, pip or flock can be found
        (tmp_path / program).symlink_to(str(shutil.which(program)))
    second = ready.call("again", path=str(tmp_path))
    assert (second.returncode, second.stdout, second.stderr) == (0, "small again\n", "")


def test_drapto_runs_through_a_symlink_and_from_any_directory(
    ready: Checkout, tmp_path: Path
) -> None:
    link = tmp_path / "drapto"
    link.symlink_to(ready.drapto)
    done = subprocess.run([link, "x"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "small x\n"


def test_two_first_calls_at_once_set_up_once(checkout: Checkout) -> None:
    calls = [checkout.start("one"), checkout.start("two")]
    ended = [call.communicate() for call in calls]
    assert [out for out, _ in ended] == ["small one\n", "small two\n"]
    assert sum(err.count("making") for _, err in ended) == 1


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_set_up_stopped_half_way_is_done_again_by_the_next_call(
    checkout: Checkout, how: signal.Signals
) -> None:
    gate = checkout.root / "gate"
    os.mkfifo(gate)
    stopped = checkout.start()
    with gate.open("w"):  # opens only once pip has reached the build backend
        os.killpg(stopped.pid, how)
        out, _ = stopped.communicate()
    assert stopped.returncode == (130 if how is signal.SIGINT else -how)
    assert out == ""
    gate.unlink()
    leftover = checkout.root / ".venv" / "leftover"
    leftover.touch()
    repaired = checkout.call("repaired")
    assert repaired.stdout == "small repaired\n"
    assert not leftover.exists()


@pytest.mark.slow
def test_changed_pins_bring_the_environment_up_to_date_in_place(checkout: Checkout) -> None:
    checkout.call()
    kept = checkout.root / ".venv" / "kept"
    kept.touch()
    with (checkout.root / "pyproject.toml").open("a") as pyproject:
        pyproject.write("# another pin\n")
    assert "up to date" in checkout.call("x").stderr
    assert checkout.call("x").stderr == ""
    assert kept.exists()


@pytest.mark.slow
def test_moved_checkout_is_set_up_afresh(checkout: Checkout) -> None:
    checkout.call()
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    moved = checkout.call("x")
    assert moved.stdout == "small x\n"
    assert "making" in moved.stderr


def test_failed_set_up_runs_nothing_and_says_why(checkout: Checkout) -> None:
    backend = checkout.root / "backend.py"
    backend.write_text("")  # a broken build, which pip reports
    failed = checkout.call("x")
    assert (failed.returncode, failed.stdout) == (4, "")
    assert "could not be installed" in failed.stderr
    backend.write_text(BACKEND)
    assert checkout.call("x").stdout == "small x\n"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ensurepip") is None, reason="this Python has no ensurepip to use")
def test_python_without_pip_gets_one_from_ensurepip(checkout: Checkout, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    path = f"{tmp_path / 'bare' / 'bin'}:{os.environ['PATH']}"
    done = checkout.call("x", path=path)
    assert done.stdout == "small x\n"
    assert (checkout.root / ".venv" / "bin" / "pip").exists()


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _constraints() -> dict[str, str]:
    lines = (ROOT / "scripts" / "constraints.txt").read_text().splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {_canonical(name): version for name, version in pins}


def test_every_direct_dependency_is_pinned_to_the_version_in_the_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    pins = dict(requirement.split("==") for requirement in direct)
    constraints = _constraints()
    assert {n: v for n, v in pins.items() if constraints.get(_canonical(n)) != v} == {}


def test_constraints_name_every_package_that_drapto_pulls_in() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    waiting = [requirement.split("==")[0] for requirement in direct]
    seen: set[str] = set()
    while waiting:
        name = _canonical(waiting.pop())
        if name in seen:
            continue
        try:
            requires = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # only for another Python or system
        seen.add(name)
        needed = (r for r in requires if "extra ==" not in r)
        waiting += [re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in needed]
    assert {"pydantic-core", "click", "iniconfig"} <= seen  # the walk reached indirect ones
    assert seen - set(_constraints()) == set()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
                   cwd=ROOT, check=True, capture_output=True)  # fmt: skip
    [built] = folder.glob("*.whl")
    return built


def test_wheel_holds_both_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"drapto", "cli"}
    assert {"drapto/py.typed", "drapto/core/job.py", "cli/__init__.py"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "bench/", "scripts/"))]


def test_wheel_holds_the_legacy_scripts(wheel: Path) -> None:
    folder = "drapto/services/legacy/scripts/"
    held = {n.removeprefix(folder) for n in zipfile.ZipFile(wheel).namelist() if folder in n}
    assert held == {path.name for path in (ROOT / folder).iterdir()}
    assert {"lib.sh", "detect.sh", "segment.sh", "encode_segment.sh", "encode.sh"} <= held


def test_wheel_holds_the_templates_of_the_report(wheel: Path) -> None:
    folder = "drapto/infrastructure/report/templates/"
    held = {n.removeprefix(folder) for n in zipfile.ZipFile(wheel).namelist() if folder in n}
    assert held == {
        *("base.html", "style.css"),
        *("report.html", "stage.html"),
        *("film.html", "film.css"),
    }


def test_wheel_gives_the_drapto_command_and_asks_for_no_torch(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    [info] = {n.split("/")[0] for n in archive.namelist() if n.split("/")[0].endswith("dist-info")}
    assert "drapto = cli.main:main" in archive.read(f"{info}/entry_points.txt").decode()
    asked = archive.read(f"{info}/METADATA").decode()
    torch = [line for line in asked.splitlines() if line.startswith("Requires-Dist: torch")]
    assert torch and all("extra == 'gpu'" in line for line in torch)


def test_unpacked_wheel_finds_the_flags_it_brings(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "from drapto.infrastructure.flags.file import FlagsFile, packaged_flags_file, FlagsPlace\n"
        "path = packaged_flags_file()\n"
        "print(path, FlagsFile(FlagsPlace(path, 'packaged')).last_good.detection.mode)"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path / 'site' / 'drapto' / 'flags.toml'} new\n"


@pytest.mark.slow
def test_wheel_installs_into_an_empty_environment_and_runs(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    bin_dir = tmp_path / "venv" / "bin"
    subprocess.run([bin_dir / "python", "-m", "pip", "install", "--quiet", wheel], check=True)
    done = subprocess.run(
        [bin_dir / "drapto", "--version"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert __version__ in done.stdout


@pytest.mark.slow
def test_fresh_clone_runs_drapto_and_is_quiet_the_second_time(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    command = [clone / "scripts" / "drapto", "--version"]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    second = subprocess.run(command, capture_output=True, text=True, check=True)
    assert first.stdout == second.stdout != ""
    assert second.stderr == ""
