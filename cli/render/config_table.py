"""`drapto config show`: every setting, its value, and where it came from."""

from __future__ import annotations

from cli import text
from cli.render.console import make_console, print_table, write_line
from drapto.core.json_text import dumps
from drapto.infrastructure.settings import LoadedSettings, allowed_values


def print_settings(loaded: LoadedSettings, *, json_object: bool) -> None:
    values = loaded.settings.model_dump()
    if json_object:
        print(dumps({
            "file": loaded.file,
            "settings": {
                name: {
                    "value": values[name],
                    "source": loaded.origins[name].kind,
                    "from": loaded.origins[name].name or None,
                }
                for name in values
            },
        }))  # fmt: skip
        return
    console = make_console()
    file = text.path(loaded.file) if loaded.file else "none"
    write_line(console, f"settings file: {file}")
    rows = [
        [name, _shown(name, value), text.printable(loaded.origins[name])]
        for name, value in values.items()
    ]
    print_table(console, ("setting", "value", "from"), rows)


def _shown(name: str, value: object) -> str:
    if value is None:
        return "auto" if "'auto'" in allowed_values(name) else "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return text.printable(f"{value:g}" if isinstance(value, float) else value)
