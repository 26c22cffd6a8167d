"""Puts the report of shadow runs together: figures from the store, verdicts from the gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from drapto.core.flag_overrides import Overrides
from drapto.core.flag_policy import FlagSet
from drapto.core.flags import standing_mode
from drapto.core.judging import judge
from drapto.core.routing import Mode, RoutedStage
from drapto.core.shadow_figures import FiguresSource, StageFigures
from drapto.core.shadow_report import ShadowReport, StageReport, course, ratio_report, tally_of
from drapto.core.words import sentence

WORST = 10  # comparisons listed for each stage


@dataclass(frozen=True)
class FlagsNow:
    """What the flags say at this moment. `file_changed` is when the file was last written."""

    flags: FlagSet
    overrides: Overrides
    file_changed: datetime


async def make_report(
    figures: FiguresSource,
    now: FlagsNow,
    *,
    store: Path,
    at: datetime,
    stages: Sequence[RoutedStage] = tuple(RoutedStage),
    since: datetime | None = None,
) -> ShadowReport:
    """Errors: StateError if the store cannot be read."""
    reports = []
    for stage in stages:
        revision = now.flags.of(stage).candidate_revision
        whole = await figures.figures(stage, revision, worst=WORST)
        shown = whole
        if since is not None:
            shown = await figures.figures(stage, revision, since, worst=WORST)
        reports.append(_stage_report(whole, shown, now, at))
    return ShadowReport(
        at=at,
        since=since,
        store=store,
        kill_switch=now.flags.kill_switch,
        stages=tuple(reports),
    )


def _stage_report(
    whole: StageFigures, shown: StageFigures, now: FlagsNow, at: datetime
) -> StageReport:
    stage = whole.stage
    flag = now.flags.of(stage)
    override = now.overrides.of(stage, flag.candidate_revision)
    standing = standing_mode(stage, flag, override)
    mode_since = now.file_changed if override is None else override.at
    verdict = judge(
        tally_of(whole, flag.gate), flag.gate, mode=standing.mode, in_mode=at - mode_since
    )
    return StageReport(
        stage=stage,
        mode=standing.mode,
        percent=standing.percent if standing.mode is Mode.CANARY else None,
        because=sentence(standing.because),
        mode_since=mode_since,
        revision=flag.candidate_revision,
        looks=flag.gate.looks,
        tolerances=flag.compare,
        verdict=verdict,
        comparisons=shown.comparisons,
        aa_runs=shown.aa_runs,
        excused=shown.excused(),
        outcomes=shown.outcomes,
        course=course(whole.agreements, whole.times_s),
        strata=shown.strata,
        fields=shown.fields,
        size=ratio_report(shown.ratios.size, shown.aa_ratios.size),
        vmaf_mean=ratio_report(shown.ratios.vmaf_mean, shown.aa_ratios.vmaf_mean),
        vmaf_p1=ratio_report(shown.ratios.vmaf_p1, shown.aa_ratios.vmaf_p1),
        time=ratio_report(shown.ratios.time, shown.aa_ratios.time),
        worst=shown.worst,
        served=shown.served,
    )
