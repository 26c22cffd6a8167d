"""Pages as a reader and as a browser take them."""

from __future__ import annotations

import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

_VOID = frozenset({"meta", "br", "link", "img", "hr", "input"})
# Enough to let a page that is a file be shown, and nothing that looks for a network.
_CHROMIUM = (
    *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--enable-logging=stderr"),
)

needs_browser = pytest.mark.skipif(
    not shutil.which("chromium"), reason="needs: apt-get install chromium"
)


class Page(HTMLParser):
    """What a browser would make of it; fails on a tag that is not closed in its order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def attributes(self, *names: str) -> list[str]:
        return [a[n] or "" for _, a in self.tags for n in names if n in a]


def in_browser(page: str, folder: Path) -> tuple[str, list[str]]:
    """The document that a browser made of a page, and the lines of its console."""
    (folder / "page.html").write_text(page)
    done = subprocess.run(
        [*_CHROMIUM, f"--user-data-dir={folder / 'profile'}", "--dump-dom",
         f"file://{folder / 'page.html'}"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
