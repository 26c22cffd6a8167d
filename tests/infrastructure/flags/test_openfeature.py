"""Flags by way of OpenFeature: the SDK's own in-memory provider, and providers that misbehave."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from drapto.core.errors import UsageError
from drapto.core.flags import FeatureFlags, StagePolicy
from drapto.core.routing import Mode, RoutedStage, Side
from drapto.infrastructure.flags.file import FlagsFile, FlagsPlace
from drapto.infrastructure.flags.openfeature import DOMAIN, OpenFeatureFlags
from drapto.infrastructure.flags.opening import open_flags
from drapto.infrastructure.flags.overrides import OverridesFile
from drapto.infrastructure.settings import Settings
from tests.core.flag_examples import DETECTION, FACTS, facts, override

FILE = 'schema = 1\n[stage.detection]\nmode = "shadow"\nsalt = "of the file"\n'


@pytest.fixture(autouse=True)
def no_providers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("DRAPTO_FLAGS_PROVIDER", raising=False)
    api.clear_providers()
    yield
    api.clear_providers()


@pytest.fixture
def file(tmp_path: Path) -> FlagsFile:
    (tmp_path / "flags.toml").write_text(FILE)
    return FlagsFile(FlagsPlace(tmp_path / "flags.toml", "named"))


def register(**values: Any) -> None:
    flags = {n: InMemoryFlag("on", {"on": value}) for n, value in values.items()}
    api.set_provider_and_wait(InMemoryProvider(flags), DOMAIN)


async def ask(source: OpenFeatureFlags, stage: RoutedStage = DETECTION) -> StagePolicy:
    return await source.policy(stage, "a job", FACTS)


async def test_file_decides_where_nobody_registered_a_provider(file: FlagsFile) -> None:
    source = OpenFeatureFlags(file)
    policy = await ask(source)
    assert policy == StagePolicy(flag=file.last_good.detection)
    file.place.path.write_text(FILE.replace("shadow", "canary") + "percent = 7\n")
    assert ((await ask(source)).flag.mode, (await ask(source)).flag.percent) == (Mode.CANARY, 7)


async def test_broken_change_of_the_file_is_told_with_the_next_route(file: FlagsFile) -> None:
    source = OpenFeatureFlags(file)
    file.place.path.write_text("schema = 1\nwhat = 1\n")
    first, second = await ask(source), await ask(source)
    assert first.flag.mode is second.flag.mode is Mode.SHADOW
    assert ["line 2" in warning for warning in first.warnings] == [True]
    assert second.warnings == ()


async def test_string_of_a_service_is_the_mode_and_the_file_says_the_rest(file: FlagsFile) -> None:
    register(detection="legacy", kill_switch=False)
    flag = (await ask(OpenFeatureFlags(file))).flag
    assert (flag.mode, flag.salt) == (Mode.LEGACY, "of the file")


async def test_object_of_a_service_takes_the_place_of_the_keys_it_has(file: FlagsFile) -> None:
    rule = {"when": {"codec": "h264"}, "mode": "legacy"}
    register(detection={"mode": "canary", "percent": 30, "rules": [rule]})
    flag = (await ask(OpenFeatureFlags(file))).flag
    assert (flag.mode, flag.percent, flag.salt) == (Mode.CANARY, 30, "of the file")
    assert flag.rules[0].when.codec == ("h264",)


async def test_stage_that_the_service_does_not_know_is_the_files(file: FlagsFile) -> None:
    register(encoding="legacy")
    source = OpenFeatureFlags(file)
    assert (await ask(source)) == StagePolicy(flag=file.last_good.detection)
    assert (await ask(source, RoutedStage.ENCODING)).flag.mode is Mode.LEGACY


@pytest.mark.parametrize(("of_file", "of_service"), [(True, False), (False, True)])
async def test_either_kill_switch_is_enough(
    of_file: bool, of_service: bool, file: FlagsFile
) -> None:
    register(detection="new", kill_switch=of_service)
    switch = f"schema = 1\nkill_switch = {str(of_file).lower()}\n"
    file.place.path.write_text(switch)
    assert (await ask(OpenFeatureFlags(file))).kill_switch


async def test_service_targets_by_job_and_facts(file: FlagsFile, tmp_path: Path) -> None:
    seen: list[EvaluationContext] = []

    def by_width(flag: Any, context: EvaluationContext) -> FlagResolutionDetails[str]:
        seen.append(context)
        return FlagResolutionDetails("legacy" if context.attributes["width"] == 3840 else "new")

    flags = {"detection": InMemoryFlag("on", {"on": "new"}, context_evaluator=by_width)}
    api.set_provider_and_wait(InMemoryProvider(flags), DOMAIN)
    features = FeatureFlags(OpenFeatureFlags(file), OverridesFile(tmp_path / "state", file))
    assert (await features.route(DETECTION, "job", FACTS)).primary is Side.NEW
    uhd = await features.route(DETECTION, "job", facts(width=3840))
    assert uhd.primary is Side.LEGACY
    assert seen[-1].targeting_key == "job"
    assert seen[-1].attributes["path"] == "/films/archive/a film.mkv"
    assert seen[-1].attributes["strata"] == ["sdr", "uhd"]


async def test_programs_own_provider_is_neither_asked_nor_replaced(file: FlagsFile) -> None:
    own = InMemoryProvider({"detection": InMemoryFlag("on", {"on": "retired"})})
    api.set_provider_and_wait(own)
    assert (await ask(OpenFeatureFlags(file))).flag.mode is Mode.SHADOW
    assert api.get_client().provider is own


class Broken(InMemoryProvider):
    """Answers 'legacy' until told otherwise."""

    def __init__(self) -> None:
        super().__init__({"detection": InMemoryFlag("on", {"on": "legacy"})})
        self.fault: Exception | None = None
        self.hangs = False
        self.released = threading.Event()

    def resolve_boolean_details(self, *given: Any, **named: Any) -> Any:
        if self.hangs:
            self.released.wait()
        if self.fault:
            raise self.fault
        return super().resolve_boolean_details(*given, **named)


@pytest.fixture
def broken() -> Iterator[Broken]:
    provider = Broken()
    api.set_provider_and_wait(provider, DOMAIN)
    yield provider
    provider.released.set()


async def test_service_that_fails_is_named_once_and_its_last_answer_holds(
    file: FlagsFile, broken: Broken
) -> None:
    source = OpenFeatureFlags(file)
    assert (await ask(source)).flag.mode is Mode.LEGACY
    broken.fault = RuntimeError("no route to host")
    first, second = await ask(source), await ask(source)
    assert first.flag.mode is second.flag.mode is Mode.LEGACY
    assert len(first.warnings) == 1
    assert "no route to host; its last answer decides until" in first.warnings[0]
    assert second.warnings == ()
    broken.fault = None
    assert (await ask(source)).warnings == ()
    broken.fault = RuntimeError("again")
    assert len((await ask(source)).warnings) == 1


async def test_service_that_fails_from_the_start_leaves_it_to_the_file(
    file: FlagsFile, broken: Broken
) -> None:
    broken.fault = RuntimeError("down")
    policy = await ask(OpenFeatureFlags(file))
    assert policy.flag == file.last_good.detection
    assert "down; the flags file decides until" in policy.warnings[0]


async def test_service_that_hangs_holds_up_neither_job_nor_loop(
    file: FlagsFile, broken: Broken
) -> None:
    source = OpenFeatureFlags(file, time_limit_s=0.1)
    broken.hangs = True
    started = time.monotonic()
    asked = [await ask(source, stage) for stage in RoutedStage for _ in range(5)]
    assert time.monotonic() - started < 5  # 15 × 0.1 s, less once enough of them hang
    assert [warning for policy in asked for warning in policy.warnings] == [
        "The provider of flags did not answer within 0.1 s; the flags file decides until it "
        "answers again."
    ]
    assert sum(thread.name == "drapto flags" for thread in threading.enumerate()) <= 8


async def test_kill_switch_of_the_file_works_while_the_service_hangs(
    file: FlagsFile, broken: Broken
) -> None:
    source = OpenFeatureFlags(file, time_limit_s=0.2)
    broken.hangs = True
    file.place.path.write_text("schema = 1\nkill_switch = true\n")
    assert (await ask(source)).kill_switch


def test_program_ends_while_a_service_hangs(tmp_path: Path) -> None:
    (tmp_path / "flags.toml").write_text(FILE)
    (tmp_path / "team.py").write_text(
        "import threading\n"
        "from openfeature.provider.in_memory_provider import InMemoryProvider\n"
        "class Hung(InMemoryProvider):\n"
        "    def resolve_boolean_details(self, *given, **named):\n"
        "        threading.Event().wait()\n"
        "def make():\n"
        "    return Hung({})\n"
    )
    code = (
        "import asyncio\nfrom pathlib import Path\n"
        "from drapto.infrastructure.flags.file import FlagsFile, FlagsPlace\n"
        "from drapto.infrastructure.flags.openfeature import OpenFeatureFlags\n"
        "from tests.core.flag_examples import DETECTION, FACTS\n"
        f"file = FlagsFile(FlagsPlace(Path({str(tmp_path / 'flags.toml')!r}), 'named'))\n"
        "source = OpenFeatureFlags(file, time_limit_s=1)\n"
        "print(asyncio.run(source.policy(DETECTION, 'job', FACTS)).flag.mode)\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{root}:{tmp_path}", "DRAPTO_FLAGS_PROVIDER": "team:make"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("shadow\n", "")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("cannary", "says 'cannary' for detection, which is none of legacy, shadow"),
        ({"percent": 500}, "no flag: percent: Input should be less than or equal to 100"),
        ({"percnt": 5}, "no flag: percnt: "),
        (3, "gives detection as neither an object nor a string"),
    ],
)
async def test_answer_that_is_no_flag_is_named_and_not_used(
    value: Any, said: str, file: FlagsFile
) -> None:
    register(detection=value)
    policy = await ask(OpenFeatureFlags(file))
    assert policy.flag == file.last_good.detection
    assert said in policy.warnings[0]


async def test_provider_is_named_by_a_variable(
    file: FlagsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "team_flags.py").write_text(
        "from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider\n"
        "def make():\n"
        "    return InMemoryProvider({'detection': InMemoryFlag('on', {'on': 'retired'})})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DRAPTO_FLAGS_PROVIDER", "team_flags:make")
    assert (await ask(OpenFeatureFlags(file))).flag.mode is Mode.RETIRED


@pytest.mark.parametrize("named", ["not_there:make", "json:not_there", "json", ":"])
def test_variable_that_names_nothing_is_an_error(
    named: str, file: FlagsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRAPTO_FLAGS_PROVIDER", named)
    with pytest.raises(UsageError, match="DRAPTO_FLAGS_PROVIDER is"):
        OpenFeatureFlags(file)


async def test_opened_flags_obey_the_overrides_of_the_state_directory(
    file: FlagsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRAPTO_FLAGS_FILE", str(file.place.path))
    flags = open_flags(Settings(state_dir=tmp_path / "state"))
    assert (await flags.features.route(DETECTION, "job", FACTS)).candidate is Side.NEW
    OverridesFile(tmp_path / "state", file).change(override(Mode.ROLLED_BACK))
    route = await flags.features.route(DETECTION, "job", FACTS)
    assert (route.primary, route.candidate, route.mode) == (Side.LEGACY, None, Mode.ROLLED_BACK)
    file.place.path.write_text(FILE + 'candidate_revision = "2"\n')
    assert (await flags.features.route(DETECTION, "job", FACTS)).mode is Mode.SHADOW


def test_sdk_is_not_loaded_before_a_job_is_routed(file: FlagsFile) -> None:
    code = (
        "import sys\nfrom drapto.infrastructure.flags.opening import open_flags\n"
        "from drapto.infrastructure.settings import Settings\nopen_flags(Settings())\n"
        "print('openfeature' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
