"""One fault of each family: the output is right, or the error is clear and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.film import Film
from tests.faults.harness import Outcome, try_once
from tests.faults.kinds import all_kinds

KINDS = {kind.name: kind for kind in all_kinds()}
SAMPLE = (
    "SIGKILL of drapto",
    "EIO on write",
    "the clock steps back",
    "two segments swapped during a run",
    "too little memory for some workers",
)
MOMENTS = 5  # a fault that came too late is tried at another moment


@pytest.mark.parametrize("name", SAMPLE)
def test_fault_loses_nothing(name: str, film: Film, tmp_path: Path) -> None:
    assert_nothing_lost(name, film, tmp_path, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", sorted(KINDS.keys()))
def test_fault_of_every_kind_loses_nothing(name: str, film: Film, tmp_path: Path) -> None:
    for seed in (2, 3):
        assert_nothing_lost(name, film, tmp_path, seed=seed)


def assert_nothing_lost(name: str, film: Film, folder: Path, *, seed: int) -> None:
    for moment in range(MOMENTS):
        verdict = try_once(KINDS[name], film, folder, seed * MOMENTS + moment)
        assert verdict.outcome is not Outcome.LOST, verdict.why
        if verdict.outcome is not Outcome.MISSED:
            return
    pytest.fail("the fault came too late every time, so nothing is known of it")
