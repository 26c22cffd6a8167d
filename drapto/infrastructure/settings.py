"""Settings: what can be set without a flag, and where each value came from.

Precedence, highest first: flag > environment (`DRAPTO_…`) > `drapto.toml` > default. Exactly one
file is read: the one named by `--config`, else `./drapto.toml`, else `drapto/drapto.toml` in the
user's configuration directory. Key by key in `docs/configuration.md`.

    loaded = load_settings({"crf": "30"})
    loaded.settings.crf            # 30.0
    str(loaded.origins["crf"])     # 'flag --crf'

`Settings(...)` alone takes keyword arguments and the environment, but reads no file. A wrong value
is a UsageError.
This module is loaded by every command, so it imports neither numpy nor anything that does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from drapto.core.errors import UsageError
from drapto.infrastructure.settings_encoding import EncodingSettings
from drapto.infrastructure.settings_fields import (
    AnyPath,
    Auto,
    Lower,
    Number,
    OptionalPath,
    parse_crop,
    setting,
)
from drapto.infrastructure.settings_file import (
    SettingsFile,
    did_you_mean,
    find_settings_file,
    key_in_file,
)

if TYPE_CHECKING:
    from drapto.core.job import EncodeOptions, RunOptions

ENV_PREFIX = "DRAPTO_"
# Variables with our prefix that are no settings: feature flags have readers of their own, and
# programs that only the legacy scripts use are looked for by them.
OTHER_VARIABLES = frozenset(
    {"DRAPTO_FLAGS_FILE", "DRAPTO_FLAGS_PROVIDER", "DRAPTO_FFPROBE", "DRAPTO_MEDIAINFO"}
)
GIB = 1024**3
_EXCLUSIVE = (("crf", "target_vmaf"), ("target_vmaf", "crf"))
_PATHS = frozenset({"work_dir", "state_dir", "legacy_scripts_dir"})


def default_state_dir() -> Path:
    """$XDG_STATE_HOME/drapto, by default ~/.local/state/drapto (XDG Base Directory 0.8).

    A user without a home directory, as in some containers, has it among the temporary files.
    """
    base = os.environ.get("XDG_STATE_HOME", "")
    try:
        return (Path(base) if base else Path.home() / ".local" / "state") / "drapto"
    except RuntimeError:
        return Path(gettempdir()) / f"drapto-{os.geteuid()}"


class Settings(EncodingSettings, BaseSettings):
    """Everything that can be set; frozen. Bounds are those of the encoders and of good sense."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, frozen=True, extra="forbid"
    )

    ffmpeg: OptionalPath = setting(
        None, "the ffmpeg program to use", "a path; unset: the bundled ffmpeg"
    )
    workers: Annotated[int | None, Number, Auto] = setting(
        None,
        "segments encoded at the same time",
        "a whole number from 1 to 1024, or 'auto' (by cores, picture size and memory)",
        ge=1,
        le=1024,
    )
    memory_gib: Annotated[float | None, Number, Auto] = setting(
        None,
        "memory the encoders may use together, in GiB",
        "a number above 0, or 'auto' (by what the machine has free)",
        gt=0,
        allow_inf_nan=False,
    )
    device: Annotated[str, Lower] = setting(
        "auto",
        "where pictures are decoded and looked at",
        "'auto' (a CUDA device where one works, else the CPU), 'cpu', 'cuda' or 'cuda:N'",
        pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$",
    )
    priority: Annotated[Literal["low", "normal", "high"], Lower] = setting(
        "normal",
        "a fact about the job that rules of the flags can ask for",
        "'low', 'normal' or 'high'",
    )
    learn_films: bool = setting(
        True, "let finished films say where the next ones begin to look for a quality",
        "true or false",
    )  # fmt: skip
    wait_shadow: bool = setting(
        True, "wait at the end for the comparison with the other side of a stage", "true or false"
    )
    work_dir: OptionalPath = setting(
        None, "where a job keeps its unfinished work", "a path; unset: beside the output"
    )
    state_dir: Annotated[Path, AnyPath] = Field(
        default_factory=default_state_dir,
        description="where Drapto keeps what outlives a job",
        json_schema_extra={"allowed": "a path"},
    )
    keep_work: bool = setting(
        False, "keep the work directory after a finished job", "true or false"
    )
    legacy_scripts_dir: OptionalPath = setting(
        None, "where the scripts of the legacy stages are", "a path; unset: the packaged scripts"
    )
    legacy_vmaf_target: Annotated[float | None, Number] = setting(
        None,
        "the VMAF that legacy encoding aims at, instead of a CRF",
        "a number above 0, at most 100, such as 93; unset: by CRF",
        gt=0,
        le=100,
        allow_inf_nan=False,
    )
    legacy_deadline_s: Annotated[float, Number] = setting(
        21600.0,  # six hours: a search for VMAF on one segment in 4K may take two
        "how long one legacy script may run, in seconds",
        "seconds above 0",
        gt=0,
        allow_inf_nan=False,
    )
    stall_s: Annotated[float, Number] = setting(
        120.0,  # infrastructure/stalling.py says why
        "how long an ffmpeg may stand still, without any CPU time, before it is ended, in seconds",
        "seconds above 0",
        gt=0,
        allow_inf_nan=False,
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Lower] = setting(
        "info", "how much is written to the log", "'debug', 'info', 'warning' or 'error'"
    )

    @model_validator(mode="after")
    def _segments_fit(self) -> Self:
        if self.min_segment_s > self.max_segment_s:
            raise ValueError("min_segment_s is above max_segment_s")
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _translated(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """A wrong value is a UsageError wherever it comes from; the cause is pydantic's."""
        try:
            return handler(values)
        except ValidationError as error:
            raise UsageError(_describe(error, {})) from error

    def encode_options(self, **overrides: Any) -> EncodeOptions:
        """What decides the bytes of the output. Raises UsageError for a wrong override."""
        from drapto.core.job import EncodeOptions
        from drapto.core.media import CropRect

        names = tuple(EncodeOptions.model_fields)
        if isinstance(crop := overrides.get("crop"), CropRect):
            overrides["crop"] = str(crop)
        for name, other in _EXCLUSIVE:
            if _names(overrides, name) and other not in overrides:
                overrides[other] = "auto"
        values = self._overridden(names, overrides)
        values["crop"] = parse_crop(values["crop"])
        return EncodeOptions(**values)

    def run_options(self, **overrides: Any) -> RunOptions:
        """How an encode is run. Raises UsageError for a wrong override."""
        from drapto.core.job import RunOptions

        as_settings = {n: v for n, v in overrides.items() if n in Settings.model_fields}
        names = tuple(n for n in RunOptions.model_fields if n in Settings.model_fields)
        values = self._overridden(names, as_settings)
        values["memory_bytes"] = None if self.memory_gib is None else round(self.memory_gib * GIB)
        values |= {n: v for n, v in overrides.items() if n not in as_settings}
        try:
            options = RunOptions(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name, value = ".".join(map(str, first["loc"])) or "options", first["input"]
            raise UsageError(f"The option '{name}' cannot be {value!r}.") from error
        if options.memory_bytes is not None and options.memory_bytes <= 0:
            raise UsageError(f"The option 'memory_bytes' cannot be {options.memory_bytes}.")
        return options

    def _overridden(self, names: tuple[str, ...], overrides: dict[str, Any]) -> dict[str, Any]:
        """The settings of these names, the overrides held to the same bounds. UsageError."""
        checked = Settings(**{**dict(self), **overrides})
        return {name: getattr(checked, name) for name in names}


@dataclass(frozen=True)
class Origin:
    """Where one value came from. `name` is the flag, the variable, or 'FILE, line N'."""

    kind: Literal["flag", "environment", "file", "default"]
    name: str = ""

    def __str__(self) -> str:
        if self.kind == "environment":
            return f"environment variable {self.name}"
        return {"flag": f"flag {self.name}", "file": self.name}.get(self.kind, "default")


@dataclass(frozen=True)
class LoadedSettings:
    """Settings with the origin of every value, and the file that was read, if any."""

    settings: Settings
    origins: Mapping[str, Origin]
    file: Path | None


def flag_name(setting: str) -> str:
    """The command-line flag of a setting."""
    return "--memory" if setting == "memory_gib" else "--" + setting.replace("_", "-")


def allowed_values(setting: str) -> str:
    """What a setting may be, in words."""
    extra = Settings.model_fields[setting].json_schema_extra
    return str(extra.get("allowed", "")) if isinstance(extra, dict) else ""


def load_settings(
    flags: Mapping[str, Any] | None = None, *, config_file: Path | None = None
) -> LoadedSettings:
    """Read every layer. `flags` maps setting names to values; None means 'not given'.

    Raises UsageError for a wrong value, an unknown key or variable, or an unreadable file.
    """
    names = tuple(Settings.model_fields)
    file = find_settings_file(config_file)
    variables = _environment(names)
    from_file = file.values(names) if file else {}
    given = {name: value for name, value in (flags or {}).items() if value is not None}

    _one_quality(given, variables, from_file)

    origins: dict[str, Origin] = {name: Origin("default") for name in names}
    if file:
        origins |= {name: Origin("file", file.where(key_in_file(name))) for name in from_file}
    origins |= {name: Origin("environment", variable) for name, variable in variables.items()}
    origins |= {name: Origin("flag", flag_name(name)) for name in given}

    below_environment = {n: _from_file(n, v, file) for n, v in from_file.items()}
    kept = {n: v for n, v in below_environment.items() if n not in variables}
    for name, other in _EXCLUSIVE:
        if _names(given, name) and not _names(given, other):
            kept[other] = "auto"  # goes before what the environment says
    try:
        settings = Settings(**(kept | given))
    except UsageError as error:
        if not isinstance(error.__cause__, ValidationError):
            raise
        raise UsageError(_describe(error.__cause__, origins)) from error.__cause__
    return LoadedSettings(settings, origins, file.path if file else None)


def _one_quality(
    given: Mapping[str, Any], variables: dict[str, str], from_file: dict[str, Any]
) -> None:
    """A CRF and a VMAF exclude each other: the layer that names one silences the other below it."""
    for name, other in _EXCLUSIVE:
        by_flag, by_variable = _names(given, name), name in variables
        if by_flag and not _names(given, other):
            variables.pop(other, None)
        if by_flag or (by_variable and other not in variables):
            from_file.pop(other, None)


def _names(layer: Mapping[str, Any], name: str) -> bool:
    value = layer.get(name)
    return value is not None and str(value).strip().lower() != "auto"


def _from_file(name: str, value: Any, file: SettingsFile | None) -> Any:
    """A relative path in a file is meant from where the file lies; a bare program name is not."""
    is_path = name in _PATHS or (name == "ffmpeg" and "/" in str(value))
    if is_path and isinstance(value, str) and value and file:
        return str(file.path.parent.absolute() / Path(value).expanduser())
    return value


def _environment(names: tuple[str, ...]) -> dict[str, str]:
    """Setting name -> variable, for every variable that is set and not empty."""
    found: dict[str, str] = {}
    known = {ENV_PREFIX + name.upper(): name for name in names}
    for variable in sorted(os.environ):
        upper = variable.upper()  # pydantic-settings does not look at the case either
        if not upper.startswith(ENV_PREFIX) or upper in OTHER_VARIABLES:
            continue
        if upper not in known:
            hint = did_you_mean(upper, known) or "`drapto config show` lists all settings."
            raise UsageError(
                f"The environment variable {variable} is not a setting of Drapto.", hint=hint
            )
        if os.environ[variable]:
            found[known[upper]] = variable
    return found


def _segment_bound(origins: Mapping[str, Origin]) -> str:
    """Which of the two bounds was set by somebody, when they contradict each other."""
    longest = origins.get("max_segment_s", Origin("flag"))
    return "min_segment_s" if longest.kind == "default" else "max_segment_s"


def _describe(error: ValidationError, origins: Mapping[str, Origin]) -> str:
    """One sentence for each wrong setting: the key, the value, its origin, what is allowed."""
    sentences = []
    for problem in error.errors():
        name = str(problem["loc"][0]) if problem["loc"] else _segment_bound(origins)
        if name not in Settings.model_fields:
            near = did_you_mean(name, Settings.model_fields)
            sentences.append(f"'{name}' is not a setting of Drapto. {near}".rstrip())
            continue
        value = problem["input"]
        if not problem["loc"] and isinstance(value, dict):
            value = value.get(name, Settings.model_fields[name].default)
        origin = f" ({origins[name]})" if name in origins else ""
        sentences.append(
            f"The setting '{name}' cannot be {str(value)!r}{origin}; "
            f"allowed is {allowed_values(name)}."
        )
    return " ".join(dict.fromkeys(sentences))
