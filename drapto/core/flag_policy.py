"""What `flags.toml` can say about one stage: modes, rules, tolerances, gates, rollback limits.

Key by key in `docs/flags.md`. Frozen values; reading the file is `infrastructure/flags`, deciding
what they mean for a job is `core/flags.py`.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from drapto.core.flag_rules import When
from drapto.core.media import Value
from drapto.core.routing import Mode, RoutedStage

BUCKETS = 100_000  # jobs are told apart in steps of 0.001 %
STRATA = ("sdr", "hdr", "hd", "uhd", "interlaced")  # as of SourceFacts.strata


def _in_steps(percent: float) -> float:
    if abs(percent * BUCKETS / 100 - round(percent * BUCKETS / 100)) > 1e-6:
        raise ValueError("jobs are told apart in steps of 0.001 %")
    return percent


Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False), AfterValidator(_in_steps)]
Count = Annotated[int, Field(ge=0)]
Above0 = Annotated[float, Field(gt=0, allow_inf_nan=False)]
From0 = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Rule(Value):
    """Jobs whose facts match all of `when` get `mode`; the first rule that matches decides."""

    when: When
    mode: Mode
    percent: Percent | None = None  # in canary; None: the flag's

    @model_validator(mode="after")
    def _decides(self) -> Self:
        if self.mode is Mode.ROLLED_BACK:
            raise ValueError("a rule cannot roll back; 'legacy' lets legacy serve these jobs")
        return self


class ShadowPolicy(Value):
    """How much is run beside the primary."""

    # share of the jobs that get a candidate; None: all in shadow and canary, none in new
    sample: Share | None = None
    aa_sample: Share = 0.05  # share of the jobs that get legacy against itself instead
    queue: Count = 50  # shadow runs that may wait; more are dropped and counted
    deadline_factor: Above0 = 3.0  # × the primary's wall time
    memory_gib: Above0 | None = None  # None: half of what is free

    def sample_in(self, mode: Mode) -> float:
        """A fresh user, for whom new serves, must not pay for runs of a legacy that is not there;
        a user who moves from one side to the other wants to see all of it."""
        if self.sample is not None:
            return self.sample
        return 1.0 if mode in (Mode.SHADOW, Mode.CANARY) else 0.0


class Tolerances(Value):
    """How far apart the two sides may be. Each applies to the stage that has such a field."""

    crop_px: Count = 2  # detection: each edge of the crop
    cut_frames: Count = 1  # detection: a cut counts as found this far off
    cut_f1: Share = 0.95  # detection: of the candidate's cuts against the primary's
    boundary_frames: Count = 2  # segmentation
    boundary_f1: Share = 0.95  # segmentation
    duration_frames: Count = 1  # encoding
    size_ratio: tuple[Above0, Above0] = (0.97, 1.03)  # encoding: bytes of new / legacy
    vmaf_mean: From0 = 0.5  # encoding: how much lower it may be
    vmaf_p1: From0 = 1.0  # encoding: the same for the first percentile

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.size_ratio[0] > self.size_ratio[1]:
            raise ValueError("the first number of size_ratio is above the second")
        return self


class Ignore(Value):
    """A discrepancy that a person has looked at and accepts for a while."""

    field: str  # as in FieldResult.field; '*' stands for any run of characters
    reason: str
    expires: date | None = None  # the last day it counts


class GatePolicy(Value):
    """When a stage may move on."""

    agreement: Share = 0.95
    looks: tuple[Count, ...] = (100, 200, 400)  # comparisons after which is judged
    bake: Annotated[str, Field(pattern=r"^[0-9]+[smhd]$")] = (
        "24h"  # at least this long since the mode was set: '90s', '30m', '24h', '7d'
    )
    strata_minimum: dict[str, Count] = {}  # comparisons needed per stratum: hdr, uhd, interlaced
    dry_run: bool = True  # true: say what would be done, change nothing

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not self.looks or self.looks[0] < 1 or list(self.looks) != sorted(set(self.looks)):
            raise ValueError("looks are whole numbers from 1 that rise")
        if unknown := set(self.strata_minimum) - set(STRATA):
            raise ValueError(f"{min(unknown)!r} is none of {', '.join(STRATA)}")
        return self


class RollbackPolicy(Value):
    """When a stage goes back by itself."""

    failure_rate: Share = 0.02  # of jobs that new was to serve and legacy had to
    consecutive: Annotated[int, Field(ge=1)] = 3  # failures in a row
    slowdown: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = (
        3.0  # × legacy's time per frame; None: off
    )
    slowdown_jobs: Annotated[int, Field(ge=1)] = 10  # jobs on each side before it is judged


class StageFlag(Value):
    """One `[stage.NAME]` table."""

    mode: Mode = Mode.NEW
    percent: Percent = 5.0  # of the jobs new serves, in canary
    salt: str = ""  # '': the name of the stage
    candidate_revision: str = "1"
    expires: date | None = None  # the last day before the flag is stale
    rules: tuple[Rule, ...] = ()
    shadow: ShadowPolicy = ShadowPolicy()
    compare: Tolerances = Tolerances()
    ignore: tuple[Ignore, ...] = ()
    gate: GatePolicy = GatePolicy()
    rollback: RollbackPolicy = RollbackPolicy()


class FlagSet(Value):
    """The whole file. A stage that is not named has the defaults: new serves."""

    model_config = ConfigDict(populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    kill_switch: bool = False
    detection: StageFlag = StageFlag()
    segmentation: StageFlag = StageFlag()
    encoding: StageFlag = StageFlag()

    def of(self, stage: RoutedStage) -> StageFlag:
        flag: StageFlag = getattr(self, stage.value)
        return flag
