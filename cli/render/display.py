"""The progress display of one job: two lines that fit any width."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli import text
from cli.render.view import JobView, Snapshot

_BAR_WIDTH = 40
_NARROW = 30  # columns below which there is no room for a bar


def facts_of(now: Snapshot) -> list[str]:
    """The numbers of a running job, the most wanted first."""
    facts = []
    if now.eta_s is not None:
        facts.append(f"{text.duration(now.eta_s)} left")
    if now.fps is not None:
        facts.append(f"{now.fps:.1f} fps")
    if now.segments:
        facts.append(f"{now.segments_done} of {text.count(now.segments, 'segment')}")
    if now.projected_bytes is not None:
        facts.append(f"video about {text.size(now.projected_bytes)}")
    return facts


class JobDisplay:
    """Asks the view anew at every redraw."""

    def __init__(self, view: JobView) -> None:
        self._view = view

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        now, width = self._view.snapshot(), options.max_width
        stage = str(now.stage) if now.stage else "starting"
        clock = text.duration(now.elapsed_s)
        first = f"{stage}  {clock}  {text.printable(now.source)}"
        yield Text(first, no_wrap=True, overflow="ellipsis")
        percent = f"{int((now.share or 0.0) * 100):3d} %"
        facts = [percent]
        bar_width = 0 if width < _NARROW else min(_BAR_WIDTH, max(10, width // 4))
        for fact in facts_of(now):
            if bar_width + 1 + len("  ".join([*facts, fact])) > width:
                break
            facts.append(fact)
        line = Text("  ".join(facts), no_wrap=True, overflow="ellipsis")
        if not bar_width:
            yield line
            return
        grid = Table.grid(padding=(0, 1, 0, 0))
        bar = ProgressBar(
            total=1.0, completed=now.share or 0.0, width=bar_width, pulse=now.share is None
        )
        grid.add_row(bar, line)
        yield grid
