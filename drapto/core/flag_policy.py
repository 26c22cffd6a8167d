"""What `flags.toml` can say about one stage: modes, rules, tolerances, gates, rollback limits.

Key by key in `docs/flags.md`. Frozen values; reading the file is `infrastructure/flags`, deciding
what they mean for a job is `core/flags.py`.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from drapto.core.media import Value
from drapto.core.routing import Mode

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class Rule(Value):
    """Jobs whose facts match all of `when` get `mode`; the first rule that matches decides."""

    when: dict[str, str | int | float | bool | list[str]]  # see core/flags.py for the keys
    mode: Mode
    percent: float | None = None


class ShadowPolicy(Value):
    """How much is run beside the primary."""

    sample: Share = 1.0  # share of the jobs that get a candidate
    aa_sample: Share = 0.05  # share of the jobs that get legacy against itself instead
    queue: Count = 50  # shadow runs that may wait; more are dropped and counted
    deadline_factor: Annotated[float, Field(gt=0)] = 3.0  # × the primary's wall time
    memory_gib: Annotated[float, Field(gt=0)] | None = None  # None: half of what is free


class Tolerances(Value):
    """How far apart the two sides may be. Each applies to the stage that has such a field."""

    crop_px: Count = 2  # detection: each edge of the crop
    cut_frames: Count = 1  # detection: a cut counts as found this far off
    cut_f1: Share = 0.95  # detection: of the candidate's cuts against the primary's
    boundary_frames: Count = 2  # segmentation
    boundary_f1: Share = 0.95  # segmentation
    duration_frames: Count = 1  # encoding
    size_ratio: tuple[float, float] = (0.97, 1.03)  # encoding: candidate / primary
    vmaf_mean: Annotated[float, Field(ge=0)] = 0.5  # encoding: how much lower it may be
    vmaf_p1: Annotated[float, Field(ge=0)] = 1.0  # encoding: the same for the first percentile


class Ignore(Value):
    """A discrepancy that a person has looked at and accepts for a while."""

    field: str  # as in FieldResult.field; '*' stands for any run of characters
    reason: str
    expires: date | None = None


class GatePolicy(Value):
    """When a stage may move on."""

    agreement: Share = 0.95
    looks: tuple[Count, ...] = (100, 200, 400)  # comparisons after which is judged
    bake: str = "24h"  # at least this long since the mode was set: '90s', '30m', '24h', '7d'
    strata_minimum: dict[str, Count] = {}  # comparisons needed per stratum: hdr, uhd, interlaced
    dry_run: bool = True  # true: say what would be done, change nothing


class RollbackPolicy(Value):
    """When a stage goes back by itself."""

    failure_rate: Share = 0.02  # of jobs that new was to serve and legacy had to
    consecutive: Annotated[int, Field(ge=1)] = 3  # failures in a row
    slowdown: Annotated[float, Field(gt=1)] | None = 3.0  # × legacy's time per frame; None: off
    slowdown_jobs: Annotated[int, Field(ge=1)] = 10  # jobs on each side before it is judged


class StageFlag(Value):
    """One `[stage.NAME]` table."""

    mode: Mode = Mode.NEW
    percent: Annotated[float, Field(ge=0, le=100)] = 100.0  # of the jobs new serves, in canary
    salt: str = ""
    candidate_revision: str = "1"
    expires: date | None = None
    rules: tuple[Rule, ...] = ()
    shadow: ShadowPolicy = ShadowPolicy()
    compare: Tolerances = Tolerances()
    ignore: tuple[Ignore, ...] = ()
    gate: GatePolicy = GatePolicy()
    rollback: RollbackPolicy = RollbackPolicy()


class FlagSet(Value):
    """The whole file. A stage that is not named has the defaults: new serves."""

    schema_version: int = Field(default=1, alias="schema")
    kill_switch: bool = False
    detection: StageFlag = StageFlag()
    segmentation: StageFlag = StageFlag()
    encoding: StageFlag = StageFlag()
