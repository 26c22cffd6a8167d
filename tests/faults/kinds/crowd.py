"""Many programs that are started on one source at the same moment."""

from __future__ import annotations

from pathlib import Path

from tests.faults.film import fault_of
from tests.faults.harness import Kind
from tests.faults.place import LIMIT_S, Ended, Place

FEW, MANY = 12, 300
# A start takes 1 to 2 s of one core, most of it imports, and all share the cores there are.
EACH_S = 4.0
_WRONG_OUTPUT, _NOT_ONE = -1001, -1002  # no kind allows these exit codes
_REFUSALS = ("already works on this job", "exists already")
_TOO_LATE = "Nothing to do"  # said, with exit code 0, by one that finds the output made


def for_one_output(number: int) -> Kind:
    """One does the work; all others say that it does, or has."""

    def inject(place: Place) -> Ended:
        ended = _all(place, [place.output] * number)
        worked = [one for one in ended if one.code == 0 and not _is_late(one)]
        wrong = [one for one in ended if one.code and not _is_refusal(one)]
        if wrong:
            return wrong[0]
        if len(worked) != 1:
            return Ended(_NOT_ONE, f"{len(worked)} of {number} did the work.")
        return worked[0]

    return Kind(f"{number} starts for one output", inject, frozenset())


def for_outputs_of_their_own(number: int) -> Kind:
    def inject(place: Place) -> Ended:
        outputs = [place.out / f"out {n}.mkv" for n in range(number - 1)]
        ended = _all(place, [place.output, *outputs])
        for output, one in zip(outputs, ended[1:], strict=True):
            if one.code != 0:
                return one
            if problem := fault_of(output, place.film):
                return Ended(_WRONG_OUTPUT, f"{output.name}: {problem}")
            output.unlink()
        return ended[0]

    return Kind(f"{number} starts for outputs of their own", inject, frozenset())


def _all(place: Place, outputs: list[Path]) -> list[Ended]:
    started = [place.start(output=path, name=str(n)) for n, path in enumerate(outputs)]
    limit_s = LIMIT_S + EACH_S * len(started)
    return [
        place.finish(process, name=str(n), limit_s=limit_s) for n, process in enumerate(started)
    ]


def _is_refusal(ended: Ended) -> bool:
    return ended.code in (1, 2) and any(text in ended.error for text in _REFUSALS)


def _is_late(ended: Ended) -> bool:
    return _TOO_LATE in ended.stdout or _TOO_LATE in ended.stderr


KINDS = (for_one_output(FEW), for_one_output(MANY), for_outputs_of_their_own(4))
