"""Who serves a job, and why: every mode, the order of precedence, rules, and the buckets."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drapto.core.flag_overrides import Override, Overrides
from drapto.core.flag_policy import BUCKETS, Ignore, Rule, ShadowPolicy, StageFlag
from drapto.core.flag_rules import When
from drapto.core.flags import FeatureFlags, StagePolicy, decide, place
from drapto.core.routing import Mode, Route, RoutedStage, Side, SourceFacts
from tests.core.flag_examples import DETECTION, FACTS, facts, override

LEGACY, NEW = Side.LEGACY, Side.NEW
KEYS = [f"job {number}" for number in range(20_000)]
keys = st.text(max_size=40)
percents = st.integers(0, BUCKETS).map(lambda steps: steps / 1000)


def flag(mode: Mode = Mode.NEW, **values: Any) -> StageFlag:
    return StageFlag(mode=mode, **values)


def route(of: StageFlag, key: str = "a job", **more: Any) -> Route:
    return decide(DETECTION, of, key, more.pop("facts", FACTS), **more)


ALL = ShadowPolicy(sample=1, aa_sample=0)
NONE = ShadowPolicy(sample=0, aa_sample=0)


class TestModes:
    @pytest.mark.parametrize(
        ("mode", "primary", "candidate", "may_fall_back"),
        [
            (Mode.LEGACY, LEGACY, None, True),
            (Mode.SHADOW, LEGACY, NEW, True),
            (Mode.NEW, NEW, LEGACY, True),
            (Mode.RETIRED, NEW, None, False),
            (Mode.ROLLED_BACK, LEGACY, None, True),
        ],
    )
    def test_each_mode_has_its_primary_and_its_candidate(
        self, mode: Mode, primary: Side, candidate: Side | None, may_fall_back: bool
    ) -> None:
        decided = route(flag(mode, shadow=ALL, candidate_revision="7"))
        assert (decided.primary, decided.candidate) == (primary, candidate)
        assert (decided.mode, decided.revision) == (mode, "7")
        assert decided.may_fall_back is may_fall_back

    def test_canary_serves_its_share_by_new_and_shadows_each_by_the_other(self) -> None:
        canary = flag(Mode.CANARY, percent=5, shadow=ALL)
        pairs = [(r.primary, r.candidate) for r in (route(canary, key) for key in KEYS)]
        assert set(pairs) == {(NEW, LEGACY), (LEGACY, NEW)}
        assert pairs.count((NEW, LEGACY)) / len(KEYS) == pytest.approx(0.05, abs=0.005)

    def test_nothing_runs_beside_a_fresh_users_jobs(self) -> None:
        assert {route(StageFlag(), key).candidate for key in KEYS[:500]} == {None}

    @pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.CANARY])
    def test_everything_is_compared_while_moving_unless_a_sample_is_named(self, mode: Mode) -> None:
        assert None not in {route(flag(mode), key).candidate for key in KEYS[:500]}

    def test_a_and_a_runs_are_legacy_twice_and_take_their_share_first(self) -> None:
        shadow = flag(Mode.SHADOW, shadow=ShadowPolicy(sample=0.25, aa_sample=0.1))
        candidates = [route(shadow, key).candidate for key in KEYS]
        assert candidates.count(LEGACY) / len(KEYS) == pytest.approx(0.1, abs=0.01)
        assert candidates.count(NEW) / len(KEYS) == pytest.approx(0.25 * 0.9, abs=0.01)
        noisy = flag(Mode.NEW, shadow=ShadowPolicy(sample=1, aa_sample=1))
        assert not route(noisy).is_aa  # new served: there is no legacy result to hold against

    @pytest.mark.parametrize("mode", [Mode.LEGACY, Mode.RETIRED, Mode.ROLLED_BACK])
    def test_no_legacy_run_for_noise_where_nothing_is_compared(self, mode: Mode) -> None:
        assert route(flag(mode, shadow=ShadowPolicy(sample=1, aa_sample=1))).candidate is None


class TestPrecedence:
    RULES = (Rule(when=When(codec="h264"), mode=Mode.LEGACY),)  # type: ignore[arg-type]

    def test_kill_switch_comes_before_everything(self) -> None:
        decided = route(
            flag(Mode.RETIRED, shadow=ALL, rules=self.RULES),
            kill_switch=True,
            override=override(Mode.NEW),
            asked=Mode.NEW,
        )
        assert (decided.primary, decided.candidate) == (LEGACY, None)
        assert decided.reason == "The kill switch is on, so legacy serves everything."

    def test_rollback_comes_before_the_route_of_one_run(self) -> None:
        decided = route(flag(), override=override(Mode.ROLLED_BACK), asked=Mode.NEW)
        assert (decided.primary, decided.mode) == (LEGACY, Mode.ROLLED_BACK)
        assert decided.reason == (
            "Detection was rolled back by drapto on 2026-03-01 12:30 UTC (Three jobs in a row "
            "failed), so legacy serves until `drapto flags reset detection`."
        )

    def test_route_of_one_run_comes_before_rules(self) -> None:
        decided = route(flag(rules=self.RULES), asked=Mode.SHADOW)
        assert (decided.primary, decided.candidate) == (LEGACY, NEW)
        assert decided.reason == (
            "--route asked for shadow in this run; new runs beside it, to be compared."
        )

    def test_rule_comes_before_a_mode_that_was_set(self) -> None:
        decided = route(flag(rules=self.RULES), override=override(Mode.NEW))
        assert decided.primary is LEGACY
        assert decided.reason == "Rule 1 (codec h264) says legacy."

    def test_mode_that_was_set_comes_before_the_flag(self) -> None:
        decided = route(flag(Mode.LEGACY), override=override(Mode.NEW, by="kim", why=""))
        assert decided.primary is NEW
        assert decided.reason == "Detection was set to new by kim on 2026-03-01 12:30 UTC."

    def test_flag_says_the_rest(self) -> None:
        assert route(flag()).reason == "The flag of detection says new."

    def test_percentage_that_was_set_holds_for_rules_and_one_run_too(self) -> None:
        everyone = override(Mode.CANARY, percent=100)
        canary = flag(Mode.CANARY, percent=0, shadow=NONE)
        assert route(canary).primary is LEGACY
        assert route(canary, override=everyone).primary is NEW
        assert route(canary, override=everyone, asked=Mode.CANARY).primary is NEW

    def test_reason_of_a_canary_says_where_the_job_stands(self) -> None:
        decided = route(flag(Mode.CANARY, percent=50, shadow=NONE), "film 1")
        at = place("detection", "film 1", "route") / 1000
        assert decided.reason == (
            f"The flag of detection says canary and this job stands at {at:.3f} %, "
            f"{'within' if at < 50 else 'beyond'} the 50 % that new serves."
        )


class TestRules:
    @pytest.mark.parametrize(
        ("condition", "hit", "miss"),
        [
            ({"path": "/films/*"}, {}, {"path": Path("/series/one.mkv")}),
            ({"path": ["*.mp4", "*.mkv"]}, {}, {"path": Path("/films/a.MKV")}),
            ({"container": "matroska"}, {}, {"container": "mov,mp4,m4a,3gp,3g2,mj2"}),
            ({"codec": ["hevc", "h264"]}, {}, {"codec": "mpeg2video"}),
            ({"dynamic_range": "dolby_vision"}, {"dynamic_range": "dolby_vision"}, {}),
            ({"priority": ["low", "normal"]}, {}, {"priority": "high"}),
            ({"interlaced": False}, {}, {"interlaced": True}),
            ({"min_width": 1920}, {}, {"width": 1919}),
            ({"max_width": 1920}, {}, {"width": 1921}),
            ({"min_height": 1080}, {}, {"height": 1079}),
            ({"max_height": 1080}, {}, {"height": 1081}),
            ({"min_duration_s": 5400}, {}, {"duration_s": 5399.9}),
            ({"max_duration_s": 5400}, {}, {"duration_s": 5400.1}),
            ({"codec": "h264", "max_width": 1920}, {}, {"width": 3840}),
            ({}, {}, None),
        ],
    )
    def test_rule_decides_for_exactly_the_jobs_it_describes(
        self, condition: dict[str, Any], hit: dict[str, Any], miss: dict[str, Any] | None
    ) -> None:
        ruled = flag(rules=(Rule(when=When(**condition), mode=Mode.LEGACY),))
        assert route(ruled, facts=facts(**hit)).primary is LEGACY
        if miss is not None:
            assert route(ruled, facts=facts(**miss)).primary is NEW

    def test_first_rule_that_matches_decides_with_its_own_percentage(self) -> None:
        rules = (
            Rule(when=When(min_width=3840), mode=Mode.LEGACY),
            Rule(when=When(max_duration_s=6000), mode=Mode.CANARY, percent=100),
            Rule(when=When(), mode=Mode.LEGACY),
        )
        ruled = flag(Mode.CANARY, percent=0, rules=rules, shadow=NONE)
        assert route(ruled).primary is NEW
        assert route(ruled).reason.startswith("Rule 2 (max_duration_s 6000.0) says canary and")
        assert route(ruled, facts=facts(width=3840)).primary is LEGACY

    @pytest.mark.parametrize(
        ("condition", "said"),
        [
            ({"dynamic_range": "hdr"}, "'hdr' is none of sdr, hdr10"),
            ({"path": "films/*"}, "begins with '/'"),
            ({"min_width": 2, "max_width": 1}, "nothing can match"),
            ({"max_heigth": 1}, "max_heigth"),
        ],
    )
    def test_condition_that_makes_no_sense_is_refused(
        self, condition: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(ValidationError, match=said):
            When(**condition)

    def test_rule_cannot_roll_back(self) -> None:
        with pytest.raises(ValidationError, match="cannot roll back"):
            Rule(when=When(), mode=Mode.ROLLED_BACK)


class TestPlaces:
    @given(key=keys, salt=keys, low=percents, high=percents)
    def test_raising_the_percentage_takes_no_job_from_new(
        self, key: str, salt: str, low: float, high: float
    ) -> None:
        low, high = sorted((low, high))
        before = route(flag(Mode.CANARY, percent=low, salt=salt), key).primary
        after = route(flag(Mode.CANARY, percent=high, salt=salt), key).primary
        assert not (before is NEW and after is LEGACY)

    @given(key=keys, salt=keys)
    def test_nobody_at_0_percent_and_everybody_at_100(self, key: str, salt: str) -> None:
        assert route(flag(Mode.CANARY, percent=0, salt=salt), key).primary is LEGACY
        assert route(flag(Mode.CANARY, percent=100, salt=salt), key).primary is NEW

    @given(key=keys, low=st.floats(0, 1), high=st.floats(0, 1))
    def test_raising_the_sample_takes_no_shadow_run_away(
        self, key: str, low: float, high: float
    ) -> None:
        low, high = sorted((low, high))
        fewer = flag(Mode.SHADOW, shadow=ShadowPolicy(sample=low, aa_sample=0))
        more = flag(Mode.SHADOW, shadow=ShadowPolicy(sample=high, aa_sample=0))
        assert route(fewer, key).candidate is None or route(more, key).candidate is NEW

    def test_places_never_change_between_versions(self) -> None:
        """Else an update would move jobs from one side to the other in mid-ramp."""
        purposes = ("route", "shadow", "aa")
        assert [place("detection-1", "film", p) for p in purposes] == PLACES

    def test_one_step_is_a_thousandth_of_a_percent(self) -> None:
        at = place("s", "film", "route")
        step = {"salt": "s", "shadow": NONE}
        assert route(flag(Mode.CANARY, percent=at / 1000, **step), "film").primary is LEGACY
        assert route(flag(Mode.CANARY, percent=(at + 1) / 1000, **step), "film").primary is NEW
        with pytest.raises(ValidationError, match=r"steps of 0\.001"):
            StageFlag(percent=0.0005)

    def test_stages_without_a_salt_ramp_independently(self) -> None:
        canary = flag(Mode.CANARY, percent=50, shadow=NONE)
        sides = [[decide(s, canary, k, FACTS).primary for s in RoutedStage] for k in KEYS[:4000]]
        for combination in range(8):
            wanted = [NEW if combination >> bit & 1 else LEGACY for bit in range(3)]
            assert sides.count(wanted) / 4000 == pytest.approx(1 / 8, abs=0.03)

    def test_a_sample_is_the_same_among_the_jobs_of_either_side(self) -> None:
        canary = flag(Mode.CANARY, percent=50, shadow=ShadowPolicy(sample=0.25, aa_sample=0))
        routes = [route(canary, key) for key in KEYS]
        for side in Side:
            mine = [r.candidate is not None for r in routes if r.primary is side]
            assert sum(mine) / len(mine) == pytest.approx(0.25, abs=0.02)

    def test_key_made_of_a_file_name_that_is_no_text_has_a_place(self) -> None:
        assert 0 <= place("s", "caf\udce9.mkv", "route") < BUCKETS


PLACES = [31240, 20396, 21247]


class OneFlag:
    """A source that says the same for every job."""

    def __init__(self, of: StageFlag, *warnings: str) -> None:
        self._policy = StagePolicy(flag=of, warnings=warnings)

    async def policy(self, stage: RoutedStage, job_key: str, facts: SourceFacts) -> StagePolicy:
        return self._policy


class Kept:
    def __init__(self, *kept: Override) -> None:
        self._kept = kept

    async def read(self) -> Overrides:
        return Overrides(kept=self._kept)


class TestFacade:
    async def test_override_of_another_revision_does_not_count(self) -> None:
        kept = Kept(override(Mode.ROLLED_BACK, revision="3"))
        for revision, side in (("3", LEGACY), ("4", NEW), ("3", LEGACY)):
            flags = FeatureFlags(OneFlag(flag(candidate_revision=revision)), kept)
            assert (await flags.route(DETECTION, "job", FACTS)).primary is side

    async def test_stale_flag_works_and_is_named_once(self) -> None:
        old = flag(Mode.SHADOW, expires=date(2027, 1, 31))
        flags = FeatureFlags(OneFlag(old, "said by the source"), Kept(), lambda: date(2027, 2, 1))
        first = await flags.evaluate(DETECTION, "job", FACTS)
        assert first.route.candidate is NEW
        assert first.warnings[0] == "said by the source"
        assert first.warnings[1].startswith("The flag of detection expired on 2027-01-31: ")
        assert (await flags.evaluate(DETECTION, "job 2", FACTS)).warnings == ("said by the source",)

    async def test_flag_is_not_stale_on_its_last_day(self) -> None:
        last = flag(expires=date(2027, 1, 31))
        flags = FeatureFlags(OneFlag(last), Kept(), lambda: date(2027, 1, 31))
        assert (await flags.evaluate(DETECTION, "job", FACTS)).warnings == ()

    async def test_expired_ignores_no_longer_count(self) -> None:
        days = (date(2026, 12, 30), date(2026, 12, 31), None)
        ignore = tuple(Ignore(field="cuts[0]", reason="known", expires=day) for day in days)
        flags = FeatureFlags(OneFlag(flag(ignore=ignore)), Kept(), lambda: date(2026, 12, 31))
        assert (await flags.evaluate(DETECTION, "job", FACTS)).flag.ignore == ignore[1:]
