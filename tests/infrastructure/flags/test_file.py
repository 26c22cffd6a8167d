"""The flags file: which one it is, what is wrong with it and where, and what becomes of changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drapto.core.errors import UsageError
from drapto.core.routing import Mode
from drapto.infrastructure.flags.file import (
    FlagsFile,
    FlagsPlace,
    find_flags_file,
    packaged_flags_file,
)
from drapto.infrastructure.flags.reading import parse_flags
from drapto.infrastructure.flags.toml_lines import line_of

CANARY = 'schema = 1\n[stage.detection]\nmode = "canary"\n'
ISSUE = """\
schema = 1
kill_switch = false
[stage.detection]
mode = "canary"
percent = 5
salt = "detection-1"
candidate_revision = "3"
expires = 2027-01-31
rules = [{ when = { dynamic_range = "dolby_vision" }, mode = "legacy" }]
shadow = { sample = 0.25, aa_sample = 0.05, queue = 50, deadline_factor = 3 }
compare = { crop_px = 2, cut_frames = 1, cut_f1 = 0.95 }
ignore = [{ field = "cuts[0]", reason = "known", expires = 2026-12-31 }]
gate = { agreement = 0.95, looks = [100, 200, 400], bake = "24h", dry_run = true }
rollback = { failure_rate = 0.02, consecutive = 3 }
"""


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DRAPTO_FLAGS_FILE", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def opened(text: str, path: Path) -> FlagsFile:
    path.write_text(text)
    return FlagsFile(FlagsPlace(path, "named"))


class TestFinding:
    def test_places_are_tried_in_order(
        self, own_world: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert find_flags_file().path == packaged_flags_file()
        assert find_flags_file().is_packaged
        of_user = own_world / "config" / "drapto" / "flags.toml"
        of_user.parent.mkdir(parents=True)
        of_user.touch()
        assert find_flags_file().path == of_user
        here = own_world / "here" / "flags.toml"
        here.touch()
        assert find_flags_file().path == here
        monkeypatch.setenv("DRAPTO_FLAGS_FILE", "other.toml")
        assert find_flags_file().path == own_world / "here" / "other.toml"
        monkeypatch.setenv("DRAPTO_FLAGS_FILE", "")
        assert find_flags_file().path == here

    def test_named_file_that_is_not_there_is_an_error(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DRAPTO_FLAGS_FILE", "none.toml")
        with pytest.raises(UsageError, match=r"none\.toml \(named by DRAPTO_FLAGS_FILE\)"):
            FlagsFile(find_flags_file())

    def test_packaged_file_serves_new_everywhere(self) -> None:
        flags = FlagsFile(find_flags_file()).last_good
        assert not flags.kill_switch
        assert {flags.detection.mode, flags.segmentation.mode, flags.encoding.mode} == {Mode.NEW}

    def test_one_edited_line_of_the_packaged_file_moves_a_stage(self, tmp_path: Path) -> None:
        text = packaged_flags_file().read_text()
        edited = text.replace('mode = "new"           # crop', 'mode = "shadow"        # crop')
        assert edited != text
        flags = opened(edited, tmp_path / "f.toml").last_good
        assert (flags.detection.mode, flags.encoding.mode) == (Mode.SHADOW, Mode.NEW)


class TestReading:
    def test_full_example_is_read(self, tmp_path: Path) -> None:
        flag = parse_flags(ISSUE.encode(), tmp_path / "f").detection
        assert (flag.mode, flag.percent, flag.salt) == (Mode.CANARY, 5, "detection-1")
        assert str(flag.rules[0].when) == "dynamic_range dolby_vision"
        assert flag.gate.looks == (100, 200, 400)
        assert flag.ignore[0].field == "cuts[0]"

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("kil_switch = true", "'kil_switch' is not a key of flags. Did you mean 'kill_switch'"),
            ('kill_switch = "yes"', "'kill_switch' cannot be \"yes\": input should be a valid"),
            ("[stage.detectoin]", "Did you mean 'detection'?"),
            ("[detection]", r"the table is \[stage.detection\]"),
            ("stage.encoding.mod = 'new'", "Did you mean 'mode'?"),
            ("stage.encoding.mode = 'nwe'", "Did you mean 'new'?"),
            ("stage.encoding.percent = 101", "less than or equal to 100"),
            ("stage.encoding.percent = nan", "finite"),
            ("stage.encoding.percent = 0.0001", r"steps of 0\.001"),
            ("stage.encoding.expires = 'soon'", "valid date"),
            ("stage.encoding.candidate_revision = 3", "valid string"),
            ("stage.encoding.shadow.sampel = 1", "Did you mean 'sample'?"),
            ("stage.encoding.gate.looks = [2, 1]", "looks are whole numbers from 1 that rise"),
            ("stage.encoding.gate.bake = '1 day'", "'stage.encoding.gate.bake' cannot be"),
            ("stage.encoding.gate.strata_minimum.hrd = 3", "'hrd' is none of sdr, hdr"),
            ("stage.encoding.compare.size_ratio = [2, 1]", "above the second"),
            ("stage.encoding.rules = [{ when = { codecs = 'h264' }, mode = 'new' }]", "'codec'"),
            ("stage.encoding.rules = [{ when = {} }]", r"'stage.encoding.rules\[0\].mode' is miss"),
            ("stage.encoding.rules = [{ when = {}, mode = 'rolled_back' }]", "cannot roll back"),
            ("stage = 3", "write \\[stage.detection\\]"),
            ("mode = ", "line 3, column 8"),
        ],
    )
    def test_fault_is_named_with_its_line(self, line: str, said: str, tmp_path: Path) -> None:
        text = f"# a comment\nschema = 1\n{line}\n"
        with pytest.raises(UsageError, match=said) as caught:
            parse_flags(text.encode(), tmp_path / "f.toml")
        assert "line 3" in str(caught.value)
        assert caught.value.exit_code == 2

    def test_schema_of_another_version_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="line 1: 'schema' cannot be 2"):
            parse_flags(b"schema = 2\n", tmp_path / "f")

    @pytest.mark.parametrize("text", [b"", b"# half a fi"])
    def test_empty_file_is_not_taken_for_one_that_says_new(
        self, text: bytes, tmp_path: Path
    ) -> None:
        with pytest.raises(UsageError, match="`schema = 1` is missing"):
            parse_flags(text, tmp_path / "f")

    def test_text_that_is_not_utf8_is_named_with_its_line(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="line 2: this is not UTF-8"):
            parse_flags(b"schema = 1\n# \xe9\n", tmp_path / "f")

    @pytest.mark.parametrize(
        ("path", "line"),
        [
            (("top",), 1),
            (("a", "b"), 2),
            (("a", "b", "list", 0, "y"), 4),
            (("a", "b", "list", 1, "x"), 5),
            (("a", "b", "list", 1, "not there"), 5),
            (("a", "b", "text"), 10),
            (("a", "b", "tables", 1, "n"), 14),
            (("nowhere",), None),
        ],
    )
    def test_line_of_a_key_is_found_however_it_is_written(
        self, path: tuple[str | int, ...], line: int | None
    ) -> None:
        text = (
            "top = 1\n[a.b]\nlist = [\n  { x = 1, y = 2 },\n  { x = [\n     1,\n  ] },\n]\n"
            '"text" = """\nx = 1"""\n[[a.b.tables]]\nn = 1\n[[a.b.tables]]\nn = 2\n'
        )
        assert line_of(text, path) == line


class TestHotReload:
    def test_change_is_seen_at_the_next_look(self, tmp_path: Path) -> None:
        file = opened(CANARY, tmp_path / "f.toml")
        assert file.current().flags.detection.mode is Mode.CANARY
        file.place.path.write_text(CANARY.replace("canary", "legacy"))  # of the same size
        assert file.current().flags.detection.mode is Mode.LEGACY

    def test_file_that_takes_its_place_is_seen_even_with_the_same_size_and_time(
        self, tmp_path: Path
    ) -> None:
        file = opened(CANARY, tmp_path / "f.toml")
        was = file.place.path.stat()
        other = tmp_path / "other"
        other.write_text(CANARY.replace("canary", "legacy"))
        os.utime(other, ns=(was.st_atime_ns, was.st_mtime_ns))
        other.replace(file.place.path)
        assert file.current().flags.detection.mode is Mode.LEGACY

    def test_broken_change_keeps_the_last_good_flags_and_is_named_once(
        self, tmp_path: Path
    ) -> None:
        file = opened(CANARY, tmp_path / "f.toml")
        file.place.path.write_text(CANARY + "percnt = 3\n")
        assert file.refreshed().detection.mode is Mode.CANARY
        first, second = file.current(), file.current()
        assert first.flags.detection.mode is second.flags.detection.mode is Mode.CANARY
        assert len(first.warnings) == 1
        assert "f.toml, line 4: 'stage.detection.percnt'" in first.warnings[0]
        assert second.warnings == ()

    def test_each_broken_version_is_named(self, tmp_path: Path) -> None:
        file = opened(CANARY, tmp_path / "f.toml")
        for wrong in ("one", "three"):
            file.place.path.write_text(CANARY + f"{wrong} = 3\n")
            assert wrong in file.current().warnings[0]
        file.place.path.write_text(CANARY.replace("canary", "new"))
        assert file.current().warnings == ()
        assert file.current().flags.detection.mode is Mode.NEW

    def test_file_that_is_moved_away_keeps_its_flags_until_it_is_back(self, tmp_path: Path) -> None:
        file = opened(CANARY, tmp_path / "f.toml")
        file.place.path.unlink()
        gone = file.current()
        assert gone.flags.detection.mode is Mode.CANARY
        assert "cannot be read any more: No such file" in gone.warnings[0]
        assert file.current().warnings == ()
        file.place.path.write_text(CANARY.replace("canary", "shadow"))
        assert file.current().flags.detection.mode is Mode.SHADOW

    def test_file_that_is_broken_from_the_start_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"f\.toml, line 1"):
            opened("schema = 3\n", tmp_path / "f.toml")
