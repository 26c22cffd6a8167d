"""Our flags file as an OpenFeature provider. Loads the SDK: import it only where that is meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from drapto.core.flag_policy import FlagSet
from drapto.core.routing import RoutedStage
from drapto.infrastructure.flags.file import FlagsFile

_T = TypeVar("_T")


class TomlProvider(AbstractProvider):
    """Gives `kill_switch` as a boolean, and each stage as its table (an object) or mode (a string).

    Says the same for every job: rules and percentages are in the table, and `core/flags.py`
    decides by them. The mode alone is for programs that look at Drapto's flags by OpenFeature.
    """

    def __init__(self, file: FlagsFile) -> None:
        super().__init__()
        self._file = file

    def get_metadata(self) -> Metadata:
        return Metadata(name="Drapto flags file")

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        if flag_key == "kill_switch":
            return _static(self._flags().kill_switch)
        raise _refusal(flag_key)

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        return _static(self._flags().of(_stage(flag_key)).mode.value)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        return _static(self._flags().of(_stage(flag_key)).model_dump(mode="json"))

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        raise _refusal(flag_key)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        raise _refusal(flag_key)

    def _flags(self) -> FlagSet:
        return self._file.refreshed()


def _static(value: _T) -> FlagResolutionDetails[_T]:
    return FlagResolutionDetails(value=value, reason=Reason.STATIC)


def _stage(flag_key: str) -> RoutedStage:
    try:
        return RoutedStage(flag_key)
    except ValueError:
        raise _refusal(flag_key) from None


def _refusal(flag_key: str) -> Exception:
    if flag_key == "kill_switch" or flag_key in list(RoutedStage):
        return TypeMismatchError(f"'{flag_key}' has another type")
    return FlagNotFoundError(f"Drapto has no flag '{flag_key}'")
