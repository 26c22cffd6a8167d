"""Flags by way of OpenFeature: our own file is one provider, a team's flag service another.

    source = OpenFeatureFlags(FlagsFile(find_flags_file()))
    (await source.policy(RoutedStage.DETECTION, job_key, facts)).flag.mode

A provider that a program registers for the domain 'drapto', or that DRAPTO_FLAGS_PROVIDER names,
is asked for an object or a string flag called 'detection', 'segmentation' or 'encoding' and for
the boolean 'kill_switch'. What it does not name, the flags file says. It is asked in a thread of
its own with a time limit: a provider may be slow, hang or fail, and the job goes on.

Nothing here loads the OpenFeature SDK before a job is routed.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from drapto.core.errors import UsageError
from drapto.core.flag_policy import FlagSet, StageFlag
from drapto.core.flags import StagePolicy
from drapto.core.routing import Mode, RoutedStage, SourceFacts
from drapto.infrastructure.flags.file import FlagsFile, Reading
from drapto.infrastructure.flags.patience import Patience

if TYPE_CHECKING:
    from openfeature.client import OpenFeatureClient
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.provider import FeatureProvider

DOMAIN = "drapto"  # what a program registers a provider of its own for
PROVIDER_VARIABLE = "DRAPTO_FLAGS_PROVIDER"
TIME_LIMIT_S = 5.0  # a job takes minutes; a flag service that takes longer than this is ill
MOST_HANGING = 8  # threads that a hung provider may hold; beyond that it is not asked any more
_NOBODY = "drapto, for which nobody registers a provider"


@dataclass(frozen=True)
class Answer:
    """What a provider said about one stage: keys of a [stage.NAME] table, and the kill switch."""

    keys: dict[str, Any]
    kill_switch: bool

    def over(self, flags: FlagSet, stage: RoutedStage) -> StagePolicy:
        """Its keys in the place of the file's. Errors: ValueError if they make no sense."""
        merged = flags.of(stage).model_dump(mode="json") | self.keys
        flag = StageFlag.model_validate_json(json.dumps(merged, default=str), strict=True)
        return StagePolicy(flag=flag, kill_switch=flags.kill_switch or self.kill_switch)


class OpenFeatureFlags:
    """Fulfils FlagSource. `time_limit_s` is for one question to the file or the provider."""

    def __init__(self, file: FlagsFile, *, time_limit_s: float = TIME_LIMIT_S) -> None:
        self._file = file
        self._make_provider = _provider_maker()
        self._last: dict[RoutedStage, Answer] = {}
        self._failing: dict[RoutedStage, str] = {}
        self._patience = Patience(time_limit_s, MOST_HANGING)
        self._registering = threading.Lock()

    async def policy(self, stage: RoutedStage, job_key: str, facts: SourceFacts) -> StagePolicy:
        try:
            reading = await self._patience.run(self._file.current)
        except TimeoutError:  # a dead network disk
            reading = Reading(self._file.last_good)
        flags, warnings = reading.flags, reading.warnings
        try:
            answer = await self._patience.run(lambda: self._ask(stage, job_key, facts))
            policy = answer.over(flags, stage)
        except Exception as error:  # whatever a stranger's code raises
            answer = self._last.get(stage, Answer({}, False))
            policy = answer.over(flags, stage)
            warnings += self._failed(stage, error)
        else:
            self._last[stage] = answer
            self._failing.pop(stage, None)
        return policy.model_copy(update={"warnings": warnings})

    def _failed(self, stage: RoutedStage, error: Exception) -> tuple[str, ...]:
        """One warning from the first failure to the next success."""
        what = _fault(stage, error, self._patience.limit_s)
        known = what in self._failing.values() or stage in self._failing
        self._failing[stage] = what
        if known:
            return ()
        instead = "its last answer" if stage in self._last else "the flags file"
        return (f"The provider of flags {what}; {instead} decides until it answers again.",)

    def _ask(self, stage: RoutedStage, job_key: str, facts: SourceFacts) -> Answer:
        """Runs in a thread of its own, for as long as the provider pleases."""
        from openfeature.evaluation_context import EvaluationContext

        context = EvaluationContext(targeting_key=job_key, attributes=_attributes(stage, facts))
        client = self._client()
        switch = client.get_boolean_details("kill_switch", False, context)
        if switch.error_code not in (None, "FLAG_NOT_FOUND"):
            raise ProviderFailed(f"failed for kill_switch: {_said(switch)}")
        return Answer(_stage_keys(client, stage, context), switch.value)

    def _client(self) -> OpenFeatureClient:
        """Of the provider that somebody registered for Drapto, else of our file.

        The file's has a domain that names it, so that Drapto touches no program's own provider,
        and several Drapto in one process may have several files.
        """
        from openfeature import api

        from drapto.infrastructure.flags.provider import TomlProvider

        logging.getLogger("openfeature").addHandler(logging.NullHandler())  # we say what failed
        with self._registering:
            nobody = api.get_client(_NOBODY).provider
            if api.get_client(DOMAIN).provider is not nobody:
                return api.get_client(DOMAIN)
            if self._make_provider is not None:
                api.set_provider_and_wait(self._make_provider(), DOMAIN)
                return api.get_client(DOMAIN)
            own = f"{DOMAIN} {self._file.place.path}"
            if api.get_client(own).provider is nobody:
                api.set_provider_and_wait(TomlProvider(self._file), own)
            return api.get_client(own)


class ProviderFailed(Exception):
    """The provider answered, but not with a flag. The text goes on after 'The provider …'."""


def _stage_keys(
    client: OpenFeatureClient, stage: RoutedStage, context: EvaluationContext
) -> dict[str, Any]:
    """An object is a table of keys; a string is a mode. {} where the provider knows no such flag.

    Services keep a flag as one or the other, and differ in how they refuse the wrong question.
    """
    table = client.get_object_details(stage.value, {}, context)
    if table.error_code is None and isinstance(table.value, dict) and table.value:
        return dict(table.value)
    mode = client.get_string_details(stage.value, "", context)
    for details in (table, mode):
        if details.error_code not in (None, "FLAG_NOT_FOUND", "TYPE_MISMATCH", "PARSE_ERROR"):
            raise ProviderFailed(f"failed for {stage}: {_said(details)}")
    if not mode.value:
        if "TYPE_MISMATCH" in (table.error_code, mode.error_code) and mode.error_code:
            raise ProviderFailed(f"gives {stage} as neither an object nor a string")
        return {}
    if mode.value not in list(Mode):
        raise ProviderFailed(f"says {mode.value!r} for {stage}, which is none of {', '.join(Mode)}")
    return {"mode": mode.value}


def _attributes(stage: RoutedStage, facts: SourceFacts) -> dict[str, Any]:
    """What targeting rules of a flag service can ask about: docs/flags.md."""
    return {**facts.model_dump(mode="json"), "stage": stage.value, "strata": list(facts.strata)}


def _said(details: Any) -> str:
    return " ".join(str(details.error_message or details.error_code).split()).rstrip(".")[:300]


def _fault(stage: RoutedStage, error: Exception, limit_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"did not answer within {limit_s:g} s"
    if isinstance(error, ProviderFailed):
        return str(error)
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        return f"says something for {stage} that is no flag: {key}: {first['msg']}"
    return f"failed with {type(error).__name__}: {error}".rstrip(": ")[:300]


def named_provider() -> str:
    """What DRAPTO_FLAGS_PROVIDER says; '' if the flags file alone decides."""
    return os.environ.get(PROVIDER_VARIABLE, "")


def _provider_maker() -> Callable[[], FeatureProvider] | None:
    """What is named by 'module:function'. Errors: UsageError."""
    named = named_provider()
    if not named:
        return None
    module, _, function = named.partition(":")
    try:
        factory: Callable[[], FeatureProvider] = getattr(import_module(module), function)
    except Exception as error:  # whatever importing a stranger's module raises
        raise UsageError(
            f"{PROVIDER_VARIABLE} is '{named}', which cannot be had: "
            f"{type(error).__name__}: {error}.",
            hint="It is 'module:function', where the function returns an OpenFeature provider.",
        ) from error
    return factory
