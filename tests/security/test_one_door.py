"""A new place that opens a file cannot forget how: this reads the source and the commands."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from drapto.core.opening import MAX_PIXELS, MEDIA_FORMATS, METADATA_FORMATS
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from drapto.services.legacy.contract import PACKAGED_SCRIPTS
from tests.end_to_end.program import QUICK, ROOT, drapto
from tests.media import tracks

SOURCES = sorted(path for top in ("drapto", "cli") for path in (ROOT / top).rglob("*.py"))
THE_LIST = "drapto/core/opening.py"
THE_DOOR = "drapto/infrastructure/ffmpeg/opening.py"
CHILDREN = "drapto/infrastructure/process.py"
STANDS_OVER_CANDIDATES = "drapto/infrastructure/keeper.py"

# What starts a program, by the name of the module or of the function.
_STARTERS = re.compile(
    r"(os\.(system|popen|spawn\w*|posix_spawn\w*|exec\w*|fork\w*))|(subprocess\.\w+)|(pty\.\w+)"
    r"|(asyncio\.create_subprocess_\w+)|(anyio\.(run_process|open_process))"
)
_HARMLESS = frozenset({"subprocess.DEVNULL", "subprocess.PIPE", "subprocess.Popen[bytes]"})


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for path in SOURCES:
        name = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text())):
            yield name, node


def calls(wanted: str) -> Iterator[tuple[str, ast.Call]]:
    for name, node in nodes():
        if isinstance(node, ast.Call) and ast.unparse(node.func) == wanted:
            yield name, node


def test_nothing_is_opened_for_reading_but_through_the_one_door() -> None:
    reading, writing = set(), 0
    for name, call in calls("av.open"):
        mode = [a.value for a in call.args[1:2] if isinstance(a, ast.Constant)]
        if mode == ["w"]:
            target = ast.unparse(call.args[0])
            assert target == "BytesIO()" or target.startswith("file_url("), f"{name}: {target}"
            writing += 1
        else:
            reading.add(name)
    assert reading == {THE_DOOR}
    assert writing  # the walk sees them


def test_no_module_takes_the_opening_function_under_another_name() -> None:
    for name, node in nodes():
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "av":
            assert "open" not in {alias.name for alias in node.names}, name


@pytest.mark.parametrize("word", ["-i", "file:", "-protocol_whitelist", "lavfi"])
def test_no_module_writes_an_input_of_its_own(word: str) -> None:
    found = {
        name for name, node in nodes() if isinstance(node, ast.Constant) and node.value == word
    }
    assert found == {THE_LIST}


def test_no_shell_and_no_program_but_through_the_one_door() -> None:
    for name, node in nodes():
        if isinstance(node, ast.keyword) and node.arg == "shell":
            pytest.fail(f"{name} asks for a shell")
        if isinstance(node, ast.Attribute) and _STARTERS.fullmatch(said := ast.unparse(node)):
            allowed = (
                said in _HARMLESS
                or name == CHILDREN
                or (name == STANDS_OVER_CANDIDATES and said in ("os.execvp", "os.fork"))
            )
            assert allowed, f"{name}: {said}"
        if isinstance(node, ast.ImportFrom) and node.module in ("subprocess", "pty"):
            pytest.fail(f"{name} takes {node.module} apart")


def test_scripts_open_nothing_without_the_same_list() -> None:
    """Each '-i' stands behind the list; the list of pieces that mux.sh writes has its own."""
    seen = []
    for script in sorted(PACKAGED_SCRIPTS.glob("*.sh")):
        text = script.read_text().replace("\\\n", " ")
        for before, opened in re.findall(r"(\S+)\s+-i (\S+?)[ )\n]", text):
            wanted = "SAFE_LIST" if opened == "list.txt" else "SAFE"
            assert before.endswith(f'"${{{wanted}[@]}}"'), f"{script.name}: {before} -i {opened}"
            seen.append(opened)
    assert len(seen) >= 15


def test_scripts_have_the_same_list() -> None:
    done = subprocess.run(
        ["bash", "-c", '. "$0"; printf "%s\\n" "${SAFE[@]}"', PACKAGED_SCRIPTS / "lib.sh"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [
        *("-protocol_whitelist", "file", "-format_whitelist", MEDIA_FORMATS),
        *("-max_pixels", str(MAX_PIXELS)),
    ]


def test_every_command_of_a_whole_job_names_what_it_may_open(tmp_path: Path) -> None:
    """Real commands, taken down by a program that stands where ffmpeg is."""
    source = tracks.rich_tracks(tmp_path)
    log = tmp_path / "commands"
    log.mkdir()
    recorder = tmp_path / "ffmpeg-recorded"
    recorder.write_text(
        f"#!/bin/bash\nprintf '%s\\0' \"$@\" >'{log}'/$$\n"
        f"readlink /proc/self/fd/0 >'{log}'/$$.stdin\nexec '{find_ffmpeg()}' \"$@\"\n"
    )
    recorder.chmod(0o755)
    done = drapto("encode", source, tmp_path / "out.mkv", *QUICK, DRAPTO_FFMPEG=str(recorder))
    assert done.returncode == 0, done.stderr
    commands = [p.read_bytes().decode().split("\0") for p in log.iterdir() if not p.suffix]
    opening = [words for words in commands if "-i" in words]
    assert len(opening) >= 5
    for words in opening:
        assert "-nostdin" in words, json.dumps(words)
        for place in (n for n, word in enumerate(words) if word == "-i"):
            assert words[place + 1].startswith("file:/")
            options = words[:place]
            if options[-2:] == ["-max_pixels", str(MAX_PIXELS)]:
                del options[-2:]
            else:
                assert "-vf" not in words and "-lavfi" not in words  # nothing is decoded
            described = options[-7:-4] == ["-f", "ffmetadata", "-copyts"]
            formats = METADATA_FORMATS if described else MEDIA_FORMATS
            assert options[-4:] == ["-protocol_whitelist", "file", "-format_whitelist", formats]
    assert {p.read_text().strip() for p in log.glob("*.stdin")} == {"/dev/null"}
