"""The real command: everything that needs no encode."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.app import run
from drapto._version import __version__
from drapto.infrastructure.settings import Settings, flag_name
from drapto.services.encoding.registry import ENCODERS
from tests.empty_world import enter_empty_world
from tests.end_to_end import program
from tests.media import clips

ROOT = Path(__file__).parents[2]
Refused = Callable[..., tuple[int, str]]
COMMANDS = (
    *([], ["encode"], ["analyze"], ["probe"], ["doctor"]),
    *(["config"], ["config", "show"], ["flags"], ["flags", "set"]),
)
HEAVY = ("av", "cv2", "numpy", "openfeature", "torch")


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return enter_empty_world(tmp_path, monkeypatch)


class TestVersionAndHelp:
    @pytest.mark.parametrize("arguments", [["--version"], ["-V"]])
    def test_version_is_printed(self, arguments: list[str]) -> None:
        done = program.drapto(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"drapto {__version__}\n", "")

    @pytest.mark.parametrize("statement", ["import drapto", "import cli.main; cli.main.main()"])
    def test_starting_loads_nothing_heavy(self, statement: str) -> None:
        code = f"import sys; sys.argv = ['drapto', '--version']; {statement}; "
        code += f"print('heavy:', [m for m in {(*HEAVY, 'typer', 'rich')} if m in sys.modules])"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=program.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == "heavy: []"

    def test_every_command_has_help_and_loads_nothing_heavy_for_it(self) -> None:
        code = (
            "import sys\nfrom cli.app import run\n"
            f"for arguments in {COMMANDS}:\n"
            "    code = run([*arguments, '--help'])\n"
            f"    print('heavy:', code, [m for m in {HEAVY} if m in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=program.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        *helps, rest = done.stdout.split("heavy: 0 []\n")
        assert rest == ""
        for arguments, shown in zip(COMMANDS, helps, strict=True):
            assert f"Usage: {' '.join(['drapto', *arguments])}" in shown

    def test_help_says_the_default_of_every_option_that_has_one(self) -> None:
        text = " ".join(program.drapto_here("encode", "--help", COLUMNS="300").stdout.split())
        settings = Settings()
        for name in ("preset", "encoder", "crop", "audio"):
            after = text.partition(f"{flag_name(name)} ")[2]
            default = re.search(r"\(default: ([^)]*)\)", after)
            assert default is not None
            assert default.group(1) == str(getattr(settings, name))

    def test_help_names_exactly_the_encoders_there_are(self) -> None:
        text = program.drapto_here("encode", "--help", COLUMNS="300").stdout
        line = next(line for line in text.splitlines() if "--encoder" in line)
        assert set(re.findall(r"svt-\w+|x26\d|(?:av1|hevc)-\w+", line)) == set(ENCODERS)


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["encode"], "Missing argument 'INPUT'"),
            (["encode", "only-one.mkv"], "Missing argument 'INPUT'"),
            (["encode", "a", "b", "--crff", "3"], "--crf"),
            (["encodee"], "Did you mean 'encode'?"),
            (["encode", "a", "b", "--crf"], "requires an argument"),
            (["encode", "a", "b", "--crf", "64"], "The setting 'crf' cannot be '64' (flag --crf)"),
            (["encode", "a", "b", "--encoder", "svt-av"], "Did you mean 'svt-av1'?"),
            (["encode", "a", "b", "--crop", "1:2:3"], "W:H:X:Y"),
            (["encode", "a", "b", "-v", "-q"], "contradict"),
            (["encode", "a", "b", "--config", "none.toml"], "none.toml cannot be read"),
            (["encode", "a", "b", "--metrics-file", "no/m.prom"], "there is no directory"),
            (["probe"], "Missing argument 'INPUT'"),
            (["probe", "a", "b"], "unexpected extra argument"),
        ],
    )
    def test_wrong_usage_is_one_paragraph_and_exit_code_2(
        self, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(arguments) == 2
        shown = capsys.readouterr()
        assert said in shown.err
        assert shown.err.startswith("Error: ")
        assert shown.err.count("\n") == 1
        assert shown.out == ""

    def test_with_json_wrong_settings_are_also_an_event(self) -> None:
        done = program.drapto_here("encode", "a.mkv", "b.mkv", "--json", "--preset", "99")
        assert done.returncode == 2
        (event,) = program.events_of(done)
        assert event["event"] == "job_failed"
        assert (event["error"], event["exit_code"], event["job"]) == ("UsageError", 2, "")
        assert event["message"] in done.stderr


class TestConfigShow:
    def test_every_setting_is_shown_with_its_origin(self, own_world: Path) -> None:
        (own_world / "drapto.toml").write_text("crf = 26\npreset = 4\n")
        done = program.drapto_here("config", "show", DRAPTO_PRESET="5")
        assert done.returncode == 0
        rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[2:]}
        assert set(rows) == set(Settings.model_fields)
        assert rows["crf"] == ["26", "drapto.toml,", "line", "1"]
        assert rows["preset"] == ["5", "environment", "variable", "DRAPTO_PRESET"]
        assert rows["audio"] == ["opus", "default"]

    def test_json_says_the_same(self, own_world: Path) -> None:
        (own_world / "drapto.toml").write_text("crf = 26.5\n")
        shown = json.loads(program.drapto_here("config", "show", "--json").stdout)
        assert shown["file"] == "drapto.toml"
        assert shown["settings"]["crf"] == {
            "value": 26.5, "source": "file", "from": "drapto.toml, line 1",
        }  # fmt: skip
        assert shown["settings"]["preset"] == {"value": 6, "source": "default", "from": None}

    def test_locale_without_the_letters_is_no_reason_to_fail(self, own_world: Path) -> None:
        (own_world / "drapto.toml").write_text("work_dir = '/tmp/früh'\n", encoding="utf-8")
        ascii_only = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        done = program.drapto("config", "show", **ascii_only)
        assert (done.returncode, done.stderr) == (0, "")
        assert r"/tmp/fr\xfch" in done.stdout

    def test_unknown_key_is_refused_with_a_suggestion(self, own_world: Path) -> None:
        (own_world / "drapto.toml").write_text("crf = 26\nworker = 4\n")
        done = program.drapto_here("config", "show")
        assert done.returncode == 2
        assert done.stderr == (
            "Error: drapto.toml, line 2: 'worker' is not a setting of Drapto. "
            "Did you mean 'workers'?\n"
        )

    def test_unknown_variable_is_refused_with_a_suggestion(self) -> None:
        done = program.drapto_here("config", "show", DRAPTO_AUDO="copy")
        assert done.returncode == 2
        assert "DRAPTO_AUDO" in done.stderr
        assert "DRAPTO_AUDIO" in done.stderr


class TestBatchPlanning:
    @pytest.fixture
    def refused(self, capsys: pytest.CaptureFixture[str]) -> Refused:
        def encode(*arguments: str) -> tuple[int, str]:
            code = run(["encode", *arguments])
            shown = capsys.readouterr()
            assert shown.out == ""
            return code, shown.err

        return encode

    def test_two_inputs_for_one_output_are_refused_before_any_work(
        self, own_world: Path, refused: Refused
    ) -> None:
        films = own_world / "films"
        films.mkdir()
        (films / "a.mp4").touch()
        (films / "a.mkv").touch()
        code, said = refused("films", "out")
        assert code == 2
        assert "would both become" in said
        assert not (own_world / "out").exists()

    def test_several_inputs_need_a_directory(self, own_world: Path, refused: Refused) -> None:
        for name in ("a.mkv", "b.mkv", "c.mkv"):
            (own_world / name).touch()
        assert refused("a.mkv", "b.mkv", "c.mkv")[0] == 2
        code, said = refused("a.mkv", "b.mkv", "d.mkv")
        assert code == 2
        assert "d.mkv looks like a file" in said

    def test_directory_onto_itself_is_refused(self, own_world: Path, refused: Refused) -> None:
        (own_world / "films").mkdir()
        (own_world / "films" / "a.mp4").touch()
        (own_world / "same").symlink_to("films")
        for output in ("films", "./films/", "same"):
            code, said = refused("films", output)
            assert code == 2
            assert "same directory" in said

    def test_directory_without_videos_is_bad_input(self, own_world: Path, refused: Refused) -> None:
        (own_world / "films").mkdir()
        (own_world / "films" / "notes.txt").touch()
        code, said = refused("films", "out")
        assert code == 3
        assert "no video file" in said


def test_doctor_looks_at_this_machine(tmp_path: Path) -> None:
    done = program.drapto("doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = {line["name"]: line for line in json.loads(done.stdout)["lines"]}
    for name in ("ffmpeg", "encoder svt-av1", "encoder opus", "metric VMAF", "CPU", "memory"):
        assert lines[name]["status"] in ("ok", "warning")
    assert lines["encoder svt-av1"]["status"] == "ok"


def test_doctor_says_what_to_do_without_ffmpeg(tmp_path: Path) -> None:
    done = program.drapto_here("doctor", DRAPTO_FFMPEG=str(tmp_path / "nowhere"))
    assert done.returncode == 4
    assert re.search(r"^ffmpeg\s+missing\s", done.stdout, re.MULTILINE)
    assert "DRAPTO_FFMPEG" in done.stdout
    assert done.stderr == ""


def test_doctor_tries_the_encoders_instead_of_believing_the_list(tmp_path: Path) -> None:
    """A program that lists every encoder and can use none."""
    from imageio_ffmpeg import get_ffmpeg_exe

    broken = tmp_path / "ffmpeg"
    broken.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *lavfi*) echo "no such device" >&2; exit 1;; esac\n'
        f'exec "{get_ffmpeg_exe()}" "$@"\n'
    )
    broken.chmod(0o755)
    done = program.drapto_here("doctor", DRAPTO_FFMPEG=str(broken))
    assert done.returncode == 4
    assert re.search(r"^encoder svt-av1\s+missing\s+libsvtav1 does not encode: no such device",
                     done.stdout, re.MULTILINE)  # fmt: skip


def test_unexpected_error_leaves_its_traceback_where_the_message_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault in Drapto cannot be provoked on demand, so one is put in."""

    async def faulty(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("drapto.api.Drapto.encode", faulty)
    assert run(["encode", "a.mkv", "b.mkv", "--json"]) == 1
    shown = capsys.readouterr()
    (event,) = [json.loads(line) for line in shown.out.splitlines()]
    assert (event["event"], event["error"]) == ("job_failed", "ZeroDivisionError")
    (line,) = [x for x in shown.err.splitlines() if x.startswith("Error: ")]
    assert "report it" in line
    crash = tmp_path / "state" / "drapto" / "crash.jsonl"
    assert str(crash) in line
    assert "ZeroDivisionError: oops" in json.loads(crash.read_text())["exception"]
    assert "Traceback" not in shown.err
    assert run(["encode", "a.mkv", "b.mkv", "-v"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_reader_that_goes_away_ends_probe_quietly(tmp_path: Path) -> None:
    command = program.command("doctor")
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=program.environment()
    )
    assert child.stdout is not None
    child.stdout.close()
    _, said = child.communicate(timeout=120)
    assert said == b""
    assert child.returncode == 130


@pytest.mark.parametrize("command", [["encode", "a.mkv", "b.mkv"], ["analyze", "a.mkv"]])
def test_device_that_is_not_there_is_told_before_anything_is_done(
    command: list[str], tmp_path: Path
) -> None:
    """Otherwise legacy would stand in for a detection that fails."""
    clips.simple(tmp_path, "a.mkv", frames=12)
    done = program.drapto_here(*command, cwd=tmp_path, DRAPTO_DEVICE="cuda:99")
    assert done.returncode == 4
    assert "The device 'cuda:99' cannot be used" in done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".mkv"] == ["a.mkv"]
