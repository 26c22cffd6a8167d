"""What `drapto flags …` shows."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from cli import text
from cli.errors import say
from cli.render.console import make_console, print_table, write_line
from drapto.core.flag_overrides import Override, Overrides, described
from drapto.core.flags import Standing, standing_mode, worth_a_look
from drapto.core.json_text import dumps
from drapto.core.routing import Mode, RoutedStage
from drapto.core.words import count, sentence
from drapto.infrastructure.flags.file import FILE_NAME, FlagsPlace
from drapto.infrastructure.flags.openfeature import named_provider
from drapto.infrastructure.flags.opening import Flags
from drapto.infrastructure.flags.overrides import OverridesFile
from drapto.infrastructure.settings_file import user_config_dir


def print_list(flags: Flags, *, json_object: bool) -> None:
    file, overrides = flags.file.last_good, flags.overrides.load()
    rows = [_row(flags, overrides, stage) for stage in RoutedStage]
    if json_object:
        print(dumps({
            "file": flags.file.place.path,
            "kill_switch": file.kill_switch,
            "stages": {row.pop("stage"): row for row in rows},
        }))  # fmt: skip
        return
    console = make_console()
    write_line(console, f"flags file: {text.path(flags.file.place.path)} ({flags.file.place.why})")
    if provider := named_provider():
        write_line(console, f"{provider} is asked for every job; this is what holds without it.")
    if file.kill_switch:
        write_line(console, "THE KILL SWITCH IS ON: legacy serves everything.")
    table = [
        [row["stage"], row["mode"], _percent(row), text.printable(row["because"])] for row in rows
    ]
    print_table(console, ("stage", "mode", "new serves", "why"), table)
    _say_warnings(flags, overrides)


def print_stage(flags: Flags, stage: RoutedStage, *, json_object: bool) -> None:
    flag, overrides = flags.file.last_good.of(stage), flags.overrides.load()
    row, keys = _row(flags, overrides, stage), flag.model_dump(mode="json")
    kept = [override for override in overrides.kept if override.stage is stage]
    if json_object:
        switch = flags.file.last_good.kill_switch
        print(dumps({**row, "kill_switch": switch, "flag": keys, "overrides": kept}))
        return
    console = make_console()
    write_line(console, text.printable(row["because"]))
    rows = [[name, text.printable(value)] for name, value in _flat(keys)]
    print_table(console, ("key", "in the flags file"), rows)
    for override in kept:
        counts = "in force" if override.revision == flag.candidate_revision else "no longer counts"
        write_line(
            console,
            text.printable(
                f"override: {described(override)}, by {override.by}, {_time(override.at)}, for "
                f"revision {override.revision} ({counts})"
            ),
        )
    _say_warnings(flags, overrides)


def say_set(flags: Flags, stage: RoutedStage, before: str) -> None:
    flag = flags.file.last_good.of(stage)
    row = _row(flags, flags.overrides.load(), stage)
    percent = f" and new serves {row['percent']:g} %" if row["percent"] is not None else ""
    say(f"{stage} is {row['mode']}{percent} from the next job on (it was {before}).")
    if flag.rules:
        say(f"The rules of {stage} in the flags file still decide first for the jobs they match.")
    lines = [f'mode = "{row["mode"]}"']
    if row["percent"] is not None:
        lines.append(f"percent = {row['percent']:g}")
    say(
        f"The flags file was not changed. To make it permanent, write {' and '.join(lines)} under "
        f"[stage.{stage}] in {_to_edit(flags.file.place)}; `drapto flags reset {stage}` takes it "
        "back."
    )


def say_reset(flags: Flags, stage: RoutedStage, gone: tuple[Override, ...]) -> None:
    if not gone:
        say(f"Nothing was set for {stage} beside the flags file.")
    row = _row(flags, flags.overrides.load(), stage)
    say(f"The flags file decides about {stage} from the next job on: {row['mode']}.")


def print_history(
    overrides: OverridesFile, stage: RoutedStage | None, *, json_object: bool
) -> None:
    entries, damaged = overrides.history()
    chosen = [entry for entry in entries if stage in (None, entry.stage)]
    if json_object:
        print(dumps(chosen))
    elif not chosen:
        say("Nothing was ever changed beside the flags file.")
    else:
        rows = [
            [
                _time(entry.at),
                entry.stage.value,
                f"{entry.before or '?'} → {entry.after or '?'}",
                text.printable(entry.by),
                text.printable(_why(entry.why, entry.evidence)),
            ]
            for entry in chosen
        ]
        print_table(make_console(), ("when (UTC)", "stage", "change", "by", "why"), rows)
    if damaged:
        say(f"Warning: {count(damaged, 'line')} of {overrides.audit_path} cannot be read.")


def print_check(place: FlagsPlace, warnings: tuple[str, ...], *, json_object: bool) -> None:
    if json_object:
        print(dumps({"file": place.path, "warnings": warnings}))
        return
    for warning in warnings:
        say(f"Warning: {warning}")
    said = f" with {count(len(warnings), 'warning')}" if warnings else ""
    write_line(make_console(), f"{text.path(place.path)} ({place.why}) is valid{said}.")


def _row(flags: Flags, overrides: Overrides, stage: RoutedStage) -> dict[str, Any]:
    """One stage as `list --json` has it."""
    flag = flags.file.last_good.of(stage)
    override = overrides.of(stage, flag.candidate_revision)
    standing: Standing = standing_mode(stage, flag, override)
    return {
        "stage": stage.value,
        "mode": standing.mode.value,
        "percent": standing.percent if standing.mode is Mode.CANARY else None,
        "because": sentence(standing.because),
        "overridden": override is not None,
        "in_file": flag.mode.value,
        "candidate_revision": flag.candidate_revision,
        "rules": len(flag.rules),
        "expires": flag.expires,
    }


def _percent(row: dict[str, Any]) -> str:
    if row["percent"] is not None:
        share = f"{row['percent']:g} %"
    else:
        share = "all" if row["mode"] in (Mode.NEW, Mode.RETIRED) else "none"
    return f"{share}, but for {count(row['rules'], 'rule')}" if row["rules"] else share


def _flat(table: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    """('shadow.queue', '50') for every key, tables within tables taken apart."""
    rows: list[tuple[str, str]] = []
    for name, value in table.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{before}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for number, item in enumerate(value, start=1):
                given = {k: v for k, v in _flat(item) if v != "-"}
                said = ", ".join(f"{key} {shown}" for key, shown in given.items())
                rows.append((f"{before}{name} {number}", said))
        else:
            rows.append((f"{before}{name}", _shown(value)))
    return rows


def _shown(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _why(why: str, evidence: dict[str, Any]) -> str:
    figures = ", ".join(f"{name} {_shown(value)}" for name, value in evidence.items())
    return f"{why} ({figures})".strip() if figures else why


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _to_edit(place: FlagsPlace) -> str:
    """The file to write to; Drapto's own is not to be edited, for an update replaces it."""
    if not place.is_packaged:
        return text.path(place.path)
    folder = user_config_dir()
    own = folder / FILE_NAME if folder else FILE_NAME
    return f"a copy of {text.path(place.path)} at {own}"


def _say_warnings(flags: Flags, overrides: Overrides) -> None:
    for warning in (*worth_a_look(flags.file.last_good, date.today()), *overrides.warnings):
        say(f"Warning: {warning}")
