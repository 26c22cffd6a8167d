"""Both sides of a stage, run on one file for nothing but the comparison."""

from __future__ import annotations

from pathlib import Path

from drapto.core.comparison import Comparison
from drapto.core.media import Value
from drapto.core.routing import RoutedStage, Side


class SideRun(Value):
    """One run of one side. `fault` says why it has no result, in one plain sentence."""

    side: Side
    wall_s: float  # of the stage alone; of the whole process where it failed
    fault: str = ""


class Trial(Value):
    """Both sides once; `runs` in the order they ran in, which is drawn by chance."""

    comparison: Comparison
    runs: tuple[SideRun, ...]


class OfflineComparison(Value):
    """Every trial, stage by stage."""

    source: Path
    trials: tuple[Trial, ...]
    kept: bool = False  # whether the comparisons are in the store

    def of(self, stage: RoutedStage) -> tuple[Trial, ...]:
        return tuple(trial for trial in self.trials if trial.comparison.stage is stage)
