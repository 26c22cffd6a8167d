"""Settings: who wins, and what is said when something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drapto.core.errors import UsageError
from drapto.core.media import CropRect
from drapto.infrastructure.settings import Settings, load_settings
from drapto.infrastructure.settings_fields import parse_crop
from tests.empty_world import enter_empty_world


@pytest.fixture(autouse=True)
def empty_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return enter_empty_world(tmp_path, monkeypatch)


def refused(flags: dict[str, object] | None = None, config_file: Path | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        load_settings(flags, config_file=config_file)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_flag_beats_environment_beats_file_beats_default(
    empty_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings().settings.preset == 6
    (empty_world / "drapto.toml").write_text("preset = 7\n")
    assert load_settings().settings.preset == 7
    monkeypatch.setenv("DRAPTO_PRESET", "8")
    assert load_settings().settings.preset == 8
    assert load_settings({"preset": "9"}).settings.preset == 9


def test_every_value_knows_where_it_came_from(
    empty_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_world / "drapto.toml").write_text("# mine\npreset = 7\ncrf = 20\naudio = 'copy'\n")
    monkeypatch.setenv("DRAPTO_CRF", "21")
    loaded = load_settings({"memory_gib": "2"})
    assert {n: str(o) for n, o in loaded.origins.items() if o.kind != "default"} == {
        "preset": "drapto.toml, line 2",
        "audio": "drapto.toml, line 4",
        "crf": "environment variable DRAPTO_CRF",
        "memory_gib": "flag --memory",
    }
    assert loaded.file == Path("drapto.toml")
    assert set(loaded.origins) == set(Settings.model_fields)


def test_named_file_is_read_instead_of_the_one_here(empty_world: Path, tmp_path: Path) -> None:
    (empty_world / "drapto.toml").write_text("preset = 7\ncrf = 20\n")
    other = tmp_path / "other.toml"
    other.write_text("preset = 11\n")
    settings = load_settings(config_file=other).settings
    assert (settings.preset, settings.crf) == (11, None)


def test_file_in_the_users_configuration_directory_counts_last(
    empty_world: Path, tmp_path: Path
) -> None:
    user = tmp_path / "config" / "drapto" / "drapto.toml"
    user.parent.mkdir(parents=True)
    user.write_text("preset = 3\n")
    assert load_settings().settings.preset == 3
    (empty_world / "drapto.toml").write_text("crf = 20\n")
    assert load_settings().settings.preset == 6


def test_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAPTO_CRF", "")
    loaded = load_settings()
    assert loaded.settings.crf is None
    assert loaded.origins["crf"].kind == "default"


def test_unknown_key_is_refused_with_file_line_and_suggestion(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("crf = 20\n\nprset = 3\n")
    said = refused(config_file=file)
    assert f"{file}, line 3: 'prset' is not a setting" in said
    assert "Did you mean 'preset'?" in said


def test_table_in_the_file_is_refused_with_a_reason(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[encode]\ncrf = 20\n")
    assert "line 1: 'encode' is a table" in refused(config_file=file)


def test_settings_of_the_legacy_stages_stand_in_their_table(
    empty_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "my.toml"
    file.write_text('crf = 20\n\n[legacy]\nscripts_dir = "our scripts"\nvmaf_target = 93\n')
    loaded = load_settings(config_file=file)
    assert loaded.settings.legacy_scripts_dir == tmp_path / "our scripts"
    assert loaded.settings.legacy_vmaf_target == 93
    assert str(loaded.origins["legacy_scripts_dir"]) == f"{file}, line 4"
    monkeypatch.setenv("DRAPTO_LEGACY_VMAF_TARGET", "90")
    assert load_settings(config_file=file).settings.legacy_vmaf_target == 90


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[legacy]\nscript_dir = 'x'\n", "line 2: 'legacy.script_dir' is not a setting"),
        ("[legacy]\nscript_dir = 'x'\n", "Did you mean 'legacy.scripts_dir'?"),
        ("legacy_scripts_dir = 'x'\n", "line 1: 'legacy_scripts_dir' is not a setting"),
        ("[legacy]\nvmaf_target = 101\n", "line 2); allowed is a number above 0, at most 100"),
        ("legacy = 3\n", "line 1: 'legacy' is not a setting"),
    ],
)
def test_slips_about_the_table_are_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "my.toml"
    file.write_text(text)
    assert said in refused(config_file=file)


def test_programs_of_the_legacy_scripts_are_no_unknown_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DRAPTO_FFPROBE", "/opt/ffprobe")
    monkeypatch.setenv("DRAPTO_MEDIAINFO", "/opt/mediainfo")
    origins = load_settings().origins.values()
    assert {"DRAPTO_FFPROBE", "DRAPTO_MEDIAINFO"}.isdisjoint(origin.name for origin in origins)


def test_unknown_variable_is_refused_with_suggestion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAPTO_WORKER", "3")
    said = refused()
    assert "DRAPTO_WORKER is not a setting" in said
    assert "Did you mean 'DRAPTO_WORKERS'?" in said


def test_variable_of_the_flag_file_is_no_unknown_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_settings()
    monkeypatch.setenv("DRAPTO_FLAGS_FILE", "/somewhere/flags.toml")
    assert load_settings() == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("crf", "abc"), ("crf", "nan"), ("crf", "inf"), ("crf", "30.3"), ("crf", "63.25"),
        ("crf", "-1"), ("preset", "14"), ("preset", "2.5"), ("crop", "1:2:3"),
        ("crop", "0:800:0:0"), ("crop", "-2:800:0:0"), ("audio", "mp3"), ("workers", "0"),
        ("workers", "many"), ("memory_gib", "0"), ("memory_gib", "inf"), ("log_level", "loud"),
        ("strict_tracks", "perhaps"), ("encoder", ""), ("video_stream", "-1"),
        ("min_segment_s", "11"), ("max_segment_s", "0.5"), ("work_dir", " "),
        ("legacy_vmaf_target", "0"), ("legacy_deadline_s", "-1"), ("stall_s", "0"),
        ("device", "gpu"), ("device", "cuda:"), ("device", "cuda:x"), ("device", "cpu:0"),
    ],
)  # fmt: skip
def test_wrong_value_is_refused_by_name_value_origin_and_what_is_allowed(
    name: str, value: str
) -> None:
    said = refused({name: value})
    assert f"The setting '{name}' cannot be" in said
    assert "(flag --" in said
    assert "allowed is" in said
    assert value in said


def test_truth_value_is_no_number(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("preset = true\n")
    assert f"The setting 'preset' cannot be 'True' ({file}, line 1)" in refused(config_file=file)


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAPTO_CRF", "x")
    said = refused({"preset": "99"})
    assert "'crf' cannot be 'x' (environment variable DRAPTO_CRF)" in said
    assert "'preset' cannot be '99' (flag --preset)" in said


def test_wrong_value_that_is_overruled_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAPTO_CRF", "x")
    assert load_settings({"crf": "20"}).settings.crf == 20


def test_missing_broken_and_binary_files_are_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused(config_file=tmp_path / "no.toml")
    (tmp_path / "bad.toml").write_text("crf = \n")
    assert "not valid TOML" in refused(config_file=tmp_path / "bad.toml")
    (tmp_path / "bin.toml").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in refused(config_file=tmp_path / "bin.toml")


def test_relative_path_in_a_file_is_meant_from_where_the_file_lies(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("work_dir = 'work'\nffmpeg = '~/ffmpeg'\n")
    settings = load_settings(config_file=tmp_path / "my.toml").settings
    assert settings.work_dir == tmp_path / "work"
    assert settings.ffmpeg == Path.home() / "ffmpeg"


def test_auto_undoes_a_value_from_a_lower_layer(empty_world: Path) -> None:
    (empty_world / "drapto.toml").write_text("crf = 20\nworkers = 3\nmemory_gib = 2\n")
    loaded = load_settings({"crf": "auto", "workers": "AUTO", "memory_gib": "auto"})
    settings = loaded.settings
    assert (settings.crf, settings.workers, settings.memory_gib) == (None, None, None)


def test_state_lies_in_the_xdg_state_directory(tmp_path: Path) -> None:
    assert load_settings().settings.state_dir == tmp_path / "state" / "drapto"


def test_quarter_steps_of_crf_are_kept() -> None:
    assert load_settings({"crf": "30.25"}).settings.crf == 30.25


def test_crop_reads_auto_off_and_a_rectangle() -> None:
    assert parse_crop("AUTO") == "auto"
    assert parse_crop("off") == "off"
    assert parse_crop("1920:800:0:140") == CropRect(width=1920, height=800, x=0, y=140)


def test_settings_become_options_and_overrides_win() -> None:
    settings = Settings(crf=31, crop="640:360:0:60", memory_gib=1.5, workers=3, keep_work=True)
    options = settings.encode_options(preset=12)
    assert (options.crf, options.preset) == (31, 12)
    assert options.crop == CropRect(width=640, height=360, x=0, y=60)
    run = settings.run_options(overwrite=True, workers=2)
    assert (run.memory_bytes, run.workers, run.overwrite, run.keep_work) == (
        1610612736, 2, True, True,
    )  # fmt: skip


def test_rectangle_itself_is_accepted_as_crop() -> None:
    rect = CropRect(width=640, height=360, x=0, y=60)
    assert Settings(crop=rect).encode_options().crop == rect


def test_wrong_override_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="audio"):
        Settings().encode_options(audio="mp3")
    with pytest.raises(UsageError, match="crop"):
        Settings().encode_options(crop="1:2")
    with pytest.raises(UsageError, match="nonsense"):
        Settings().run_options(nonsense=1)


def test_loading_settings_loads_no_heavy_module() -> None:
    code = (
        "import sys; from drapto.infrastructure.settings import load_settings; load_settings(); "
        "print([m for m in ('numpy', 'av', 'cv2', 'torch', 'rich') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_crf_or_a_vmaf_silences_the_other_from_further_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "drapto.toml"
    file.write_text("target_vmaf = 93\n")

    def loaded(**flags: str) -> tuple[float | None, float | str]:
        settings = load_settings(flags, config_file=file).settings
        return settings.crf, settings.target_vmaf

    assert loaded() == (None, 93.0)
    assert loaded(crf="30") == (30.0, "auto")
    assert loaded(crf="auto") == (None, 93.0)
    assert loaded(crf="30", target_vmaf="95") == (30.0, 95.0)  # who asks for both is told
    monkeypatch.setenv("DRAPTO_CRF", "28")
    assert loaded() == (28.0, "auto")
    assert loaded(target_vmaf="94") == (None, 94.0)
    assert Settings(crf=20.0).encode_options(target_vmaf=90.0).crf is None
    assert Settings(crf=20.0).encode_options(preset=8).crf == 20.0


@pytest.mark.parametrize("wrong", ["0", "101", "-3", "nan", "best"])
def test_a_target_that_is_no_vmaf_is_named(wrong: str) -> None:
    with pytest.raises(UsageError, match="target_vmaf"):
        load_settings({"target_vmaf": wrong})
