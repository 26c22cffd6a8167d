"""FeatureFlags: (stage, job) -> Route, with the reason. Pure: files and providers are elsewhere.

    evaluation = await flags.evaluate(RoutedStage.DETECTION, job_key, facts)
    evaluation.route.primary, evaluation.route.reason

The first of these that has something to say decides: the kill switch; a rollback; `--route` for
one run; the first rule that matches; an override by `drapto flags set`; the flag itself. Which
jobs a canary gets is no dice: each job has one place between 0 and 100 % for a salt, and new
serves those below the flag's percentage. So a job that new serves at 5 % is one it serves at 20 %.

Tests: tests/core/test_flags.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import Protocol

from drapto.core.flag_overrides import Override, OverrideSource
from drapto.core.flag_policy import BUCKETS, FlagSet, StageFlag
from drapto.core.media import Value
from drapto.core.routing import Mode, Route, RoutedStage, Side, SourceFacts
from drapto.core.words import sentence


class StagePolicy(Value):
    """What a source of flags says about one stage for one job."""

    flag: StageFlag
    kill_switch: bool = False
    warnings: tuple[str, ...] = ()


class FlagSource(Protocol):
    async def policy(self, stage: RoutedStage, job_key: str, facts: SourceFacts) -> StagePolicy:
        """Never blocks the event loop and raises nothing: where the flags cannot be had, the last
        that could be are given, with a warning."""
        ...


class Evaluation(Value):
    """A route, and the flag behind it without the `ignore` entries that have expired."""

    route: Route
    flag: StageFlag
    warnings: tuple[str, ...] = ()  # each is given once in the life of the FeatureFlags


class FeatureFlags:
    """Safe to be asked by any number of tasks at once. `today` is the day that expiry is held
    against."""

    def __init__(
        self,
        source: FlagSource,
        overrides: OverrideSource,
        today: Callable[[], date] = date.today,
    ) -> None:
        self._source = source
        self._overrides = overrides
        self._today = today
        self._said: set[str] = set()

    async def evaluate(
        self,
        stage: RoutedStage,
        job_key: str,
        facts: SourceFacts,
        *,
        asked: Mode | None = None,
    ) -> Evaluation:
        """`job_key` names the job and stays the same for all its runs; `asked` is `--route`."""
        policy = await self._source.policy(stage, job_key, facts)
        overrides = await self._overrides.read()
        flag = without_expired(policy.flag, self._today())
        route = decide(
            stage,
            flag,
            job_key,
            facts,
            kill_switch=policy.kill_switch,
            override=overrides.of(stage, flag.candidate_revision),
            asked=asked,
        )
        stale = [text for text in (stale_flag(stage, flag, self._today()),) if text]
        fresh = [text for text in stale if text not in self._said]
        self._said.update(fresh)
        warnings = (*policy.warnings, *overrides.warnings, *fresh)
        return Evaluation(route=route, flag=flag, warnings=warnings)

    async def route(
        self,
        stage: RoutedStage,
        job_key: str,
        facts: SourceFacts,
        *,
        asked: Mode | None = None,
    ) -> Route:
        """As `evaluate`, for those who need only the decision."""
        return (await self.evaluate(stage, job_key, facts, asked=asked)).route


def decide(
    stage: RoutedStage,
    flag: StageFlag,
    job_key: str,
    facts: SourceFacts,
    *,
    kill_switch: bool = False,
    override: Override | None = None,
    asked: Mode | None = None,
) -> Route:
    """The route of one job; the same arguments always give the same one."""
    chosen = _chosen(stage, flag, facts, kill_switch, override, asked)
    salt = flag.salt or stage.value
    primary, because = _primary(chosen, place(salt, job_key, "route"))
    candidate = _candidate(chosen.mode, primary, flag, salt, job_key)
    return Route(
        stage=stage,
        primary=primary,
        candidate=candidate,
        mode=chosen.mode,
        reason=sentence(f"{because}{_beside(primary, candidate)}"),
        revision=flag.candidate_revision,
        may_fall_back=chosen.mode is not Mode.RETIRED,
    )


def place(salt: str, job_key: str, purpose: str) -> int:
    """Where a job stands among 100,000 buckets, for one purpose; evenly spread, always the same.

    blake2b (RFC 7693) of salt and job key, personalised with the purpose, so that the places of
    one job for two purposes have nothing to do with each other.
    """
    text = f"{salt}\0{job_key}".encode("utf-8", "surrogatepass")  # a key may hold a file name
    digest = blake2b(text, digest_size=8, person=f"drapto-{purpose}".encode()).digest()
    return int.from_bytes(digest, "big") % BUCKETS


def buckets(share: float) -> int:
    """How many of the buckets a share from 0 to 1 takes."""
    return round(share * BUCKETS)


def without_expired(flag: StageFlag, today: date) -> StageFlag:
    """The flag without the `ignore` entries whose last day is past."""
    valid = tuple(i for i in flag.ignore if i.expires is None or i.expires >= today)
    return flag if valid == flag.ignore else flag.model_copy(update={"ignore": valid})


def stale_flag(stage: RoutedStage, flag: StageFlag, today: date) -> str:
    """A warning for a flag that should have been settled by now; '' if there is none to give."""
    if flag.expires is None or flag.expires >= today:
        return ""
    return (
        f"The flag of {stage} expired on {flag.expires}: finish the move or give it another "
        "`expires` in the flags file; until then it works as before."
    )


def worth_a_look(flags: FlagSet, today: date) -> tuple[str, ...]:
    """Warnings about a file that is valid: stale flags, and ignores that no longer count."""
    said = []
    for stage in RoutedStage:
        flag = flags.of(stage)
        said.append(stale_flag(stage, flag, today))
        valid = without_expired(flag, today).ignore
        said += [
            f"The ignore of {ignore.field} in {stage} expired on {ignore.expires}: such a "
            "discrepancy counts again."
            for ignore in flag.ignore
            if ignore not in valid
        ]
    return tuple(filter(None, said))


@dataclass(frozen=True)
class Standing:
    """The mode that counts, and who says so, as the beginning of a sentence."""

    mode: Mode
    percent: float  # of the jobs that new serves, in canary
    because: str


def _chosen(
    stage: RoutedStage,
    flag: StageFlag,
    facts: SourceFacts,
    kill_switch: bool,
    override: Override | None,
    asked: Mode | None,
) -> Standing:
    standing = standing_mode(stage, flag, override)
    if kill_switch:
        return Standing(Mode.LEGACY, 0, "the kill switch is on, so legacy serves everything")
    if standing.mode is Mode.ROLLED_BACK:
        return standing
    if asked is not None:
        return Standing(asked, standing.percent, f"--route asked for {asked} in this run")
    for number, rule in enumerate(flag.rules, start=1):
        if rule.when.matches(facts):
            percent = standing.percent if rule.percent is None else rule.percent
            return Standing(rule.mode, percent, f"rule {number} ({rule.when}) says {rule.mode}")
    return standing


def standing_mode(stage: RoutedStage, flag: StageFlag, override: Override | None) -> Standing:
    """What holds for a job that no rule names: the override, else the flag. `override` is one
    for this stage and revision."""
    if override is None:
        return Standing(flag.mode, flag.percent, f"the flag of {stage} says {flag.mode}")
    percent = flag.percent if override.percent is None else override.percent
    why = f" ({override.why.strip().rstrip('.')})" if override.why.strip() else ""
    who = f"{override.by} on {override.at:%Y-%m-%d %H:%M} UTC{why}"
    if override.mode is Mode.ROLLED_BACK:
        undo = f"so legacy serves until `drapto flags reset {stage}`"
        return Standing(override.mode, percent, f"{stage} was rolled back by {who}, {undo}")
    return Standing(override.mode, percent, f"{stage} was set to {override.mode} by {who}")


def _primary(chosen: Standing, bucket: int) -> tuple[Side, str]:
    if chosen.mode in (Mode.NEW, Mode.RETIRED):
        return Side.NEW, chosen.because
    if chosen.mode is not Mode.CANARY:
        return Side.LEGACY, chosen.because
    is_new = bucket < buckets(chosen.percent / 100)
    within = "within" if is_new else "beyond"
    where = f"this job stands at {bucket * 100 / BUCKETS:.3f} %, {within} the"
    because = f"{chosen.because} and {where} {chosen.percent:g} % that new serves"
    return Side.NEW if is_new else Side.LEGACY, because


def _candidate(mode: Mode, primary: Side, flag: StageFlag, salt: str, job_key: str) -> Side | None:
    """Who runs beside the primary: legacy against itself for some, the other side for some."""
    if mode not in (Mode.SHADOW, Mode.CANARY, Mode.NEW):
        return None
    shadow = flag.shadow
    if primary is Side.LEGACY and place(salt, job_key, "aa") < buckets(shadow.aa_sample):
        return Side.LEGACY
    if place(salt, job_key, "shadow") < buckets(shadow.sample_in(mode)):
        return primary.other
    return None


def _beside(primary: Side, candidate: Side | None) -> str:
    if candidate is None:
        return ""
    if candidate is primary:
        return f"; {candidate} runs a second time, to measure noise"
    return f"; {candidate} runs beside it, to be compared"
