"""The time of day that is set while a job runs."""

from __future__ import annotations

from tests.faults.harness import Kind
from tests.faults.place import Ended, Place
from tests.faults.shims import clock_set

_DAY_S = 86_400


def stepping(what: str, steps_s: tuple[int, ...]) -> Kind:
    def inject(place: Place) -> Ended:
        after_s = place.rng.uniform(0, 0.8 * place.film.took_s)
        shim = clock_set(after_s=after_s, step_s=place.rng.choice(steps_s))
        return place.run_shimmed(shim)

    return Kind(f"the clock steps {what}", inject, codes=frozenset())


KINDS = (
    stepping("back", (-1, -60, -3600, -_DAY_S, -20 * 365 * _DAY_S)),
    stepping("forward", (1, 3600, 20 * 365 * _DAY_S)),
)
