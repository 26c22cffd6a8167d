"""Runs the estimates of one `drapto estimate`: one film after the other, each with its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.batch import find_videos
from cli.errors import INTERRUPTED, Failure, describe, show
from cli.render.console import status
from cli.render.estimate_table import Outcome, print_estimate, print_estimates, print_json
from cli.runtime import Stop
from drapto.api import Drapto
from drapto.core.errors import UsageError
from drapto.core.estimate import Estimate
from drapto.infrastructure.settings import Settings


@dataclass(frozen=True)
class Estimates:
    """`sheet`: a .png file; of several films, a directory that gets one for each."""

    settings: Settings
    windows: int | None
    sheet: str | None
    json_lines: bool

    async def all(self, inputs: Sequence[str], stop: Stop) -> int:
        """The exit code: of several films 1 if one of them failed, of one film its own."""
        films, is_batch = find_videos(inputs)
        outcomes: list[Outcome] = []
        with status("looking at films") as tell:
            async with Drapto(self.settings) as drapto:
                for number, film in enumerate(films, start=1):
                    tell(f"{number} of {len(films)}: trying {film.path.name}")
                    outcome = await self._one(drapto, film.path, self._sheet(film.name, is_batch))
                    if stop.reason:  # what fails while being stopped was stopped
                        return INTERRUPTED
                    outcomes.append(outcome)
                    self._say(outcome)
        failures = [found.result for found in outcomes if isinstance(found.result, Failure)]
        if not self.json_lines:
            if is_batch:
                print_estimates(outcomes)
            else:
                for outcome in outcomes:
                    if isinstance(outcome.result, Estimate):
                        print_estimate(outcome.result)
        if not failures:
            return 0
        return 1 if is_batch else failures[0].exit_code

    async def _one(self, drapto: Drapto, source: Path, sheet: Path | None) -> Outcome:
        try:
            if sheet is not None:
                sheet.parent.mkdir(parents=True, exist_ok=True)
            found = await drapto.estimate(
                source,
                options=self.settings.encode_options(),
                run=self.settings.run_options(),
                windows=self.windows,
                sheet=sheet,
            )
        except Exception as error:
            return Outcome(source, describe(error))
        return Outcome(source, found)

    def _sheet(self, name: Path, is_batch: bool) -> Path | None:
        if self.sheet is None:
            return None
        if not is_batch:
            return Path(self.sheet)
        if Path(self.sheet).suffix.lower() == ".png":
            raise UsageError(
                f"--sheet {self.sheet} is one file, and there are several films.",
                hint="Name a directory.",
            )
        return Path(self.sheet) / f"{name}.png"

    def _say(self, outcome: Outcome) -> None:
        if self.json_lines:
            print_json(outcome)
        if isinstance(outcome.result, Failure):
            show(outcome.result)
