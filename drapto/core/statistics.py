"""How sure can one be, from so few runs: bounds, sequential tests and quantiles.

Pure functions of counts. `core/judging.py` decides with the bounds when a stage may move on,
`core/watching.py` with the e-value when it has to go back. `docs/judging.md` says what the
error rates come to, simulated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import NormalDist

Z_95 = NormalDist().inv_cdf(0.975)  # 1.96: both ends of a two-sided 95 % interval

# The e-value at which a stage is rolled back. By Ville's inequality an e-process whose null
# hypothesis is true ever reaches 1 / error with a probability of at most `error`; here 5 %.
ALARM_E_VALUE = 20.0

# The failure rates that are looked for: those above the allowed one, most of them a few times as
# high. As a Beta(1, b) whose mean, before it is cut off, is this many times the allowed rate, so
# that every allowed rate is watched alike. Chosen by simulation at 2 %: it finds 10 % in a median
# of 41 jobs and 5 % in 179, where the uniform distribution needs 47 and 305. With 3 or more,
# the first two jobs failing would be enough: that is left to the rule about failures in a row.
_LOOKED_FOR = 2.5
_NARROWEST = 1e6  # b; beyond, for allowed rates below 1 in 2.5 million, logarithms lose digits

_TINY = 1e-300  # keeps the continued fraction from dividing by 0
_CLOSE_ENOUGH = 1e-15  # relative; the last digit of a double is 1e-16


def wilson_interval(successes: int, trials: int, z: float) -> tuple[float, float]:
    """The score interval for a probability, within [0, 1]; (0, 1) for no trials.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22
    (1927), 209-212. `z` is the normal quantile: 1.96 for both ends of a 95 % interval, 1.645 for
    one end that is wrong in 5 %. Errors: ValueError for impossible counts.
    """
    _check(successes, trials)
    if trials == 0:
        return 0.0, 1.0
    share, z2 = successes / trials, z * z
    centre = share + z2 / (2 * trials)
    reach = z * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    scale = 1 + z2 / trials
    low, high = (centre - reach) / scale, (centre + reach) / scale
    # The ends are exactly 0 and 1 where nothing, or everything, succeeded; rounding misses that.
    return (max(0.0, low) if successes else 0.0), (min(1.0, high) if successes < trials else 1.0)


@lru_cache(maxsize=1 << 14)
def exact_interval(successes: int, trials: int, error: float) -> tuple[float, float]:
    """Two bounds for a probability, each of which is wrong in at most `error`, for any counts.

    C. J. Clopper and E. S. Pearson, The use of confidence or fiducial limits illustrated in the
    case of the binomial, Biometrika 26 (1934), 404-413. Found by bisection, to 1e-12. Wilson's
    bounds are nearer on average, but for some counts they are wrong more often than they say: at
    20 trials and 80 %, in 7 % instead of 5 %. Errors: ValueError for impossible counts.
    """
    _check(successes, trials)
    failures = trials - successes
    if not 0 < error < 1:
        raise ValueError(f"an error of {error} is no probability between 0 and 1")
    low, high = 0.0, 1.0
    if successes:  # where so many successes or more have the probability `error`
        low = _bisect(lambda p: log_beta_tail(1 - p, failures + 1, successes) < math.log(error))
    if failures:  # where so few or fewer have it
        high = _bisect(lambda p: log_beta_tail(p, successes + 1, failures) > math.log(error))
    return low, high


def corrected_z(looks: int, error: float = 0.05) -> float:
    """The normal quantile for one bound that is looked at `looks` times: 2.13 for three.

    Bonferroni: every look may err in error / looks, so all of them together err in at most
    `error` (O. J. Dunn, Multiple comparisons among means, JASA 56 (1961), 52-64). It needs no
    equal distance between the looks, as the constants of Pocock (1977; 1.99 for three) do.
    Errors: ValueError for less than one look.
    """
    if looks < 1:
        raise ValueError(f"a bound is looked at once at least, not {looks} times")
    return NormalDist().inv_cdf(1 - error / looks)


@lru_cache(maxsize=1 << 17)
def failure_e_value(failures: int, jobs: int, allowed: float) -> float:
    """The evidence that jobs fail more often than `allowed`; 1 for no evidence.

    The likelihood of what was seen, averaged over the failure rates above `allowed`, divided by
    its likelihood at `allowed`. The average is over a Beta distribution cut off at `allowed` (see
    `_LOOKED_FOR`). For every true rate of `allowed` or less it is a non-negative supermartingale
    that starts at 1 (at `allowed` a martingale), so the chance that it *ever* reaches
    `ALARM_E_VALUE` is at most 5 %, however often one looks.

    H. Robbins, Statistical methods related to the law of the iterated logarithm, Ann. Math.
    Statist. 41 (1970), 1397-1409 (the mixture); J. Ville, Étude critique de la notion de
    collectif (1939) (the bound); A. Ramdas et al., Game-theoretic statistics and safe anytime-
    valid inference, Statist. Sci. 38 (2023), 576-601 (e-values, composite nulls).

    It depends on the two counts alone, so one more job costs one evaluation, however many there
    were; all arithmetic is in logarithms. Infinite only where it is above 1e308, or where a job
    failed and none is allowed to. Errors: ValueError for impossible counts.
    """
    _check(failures, jobs)
    if allowed >= 1:
        return 1.0  # nothing is more than that
    if allowed <= 0:
        return math.inf if failures else 1.0
    a, b = 1.0, min(max(1 / (_LOOKED_FOR * allowed) - 1, 1.0), _NARROWEST)
    good = jobs - failures
    averaged = _log_beta(a + failures, b + good) + log_beta_tail(allowed, a + failures, b + good)
    prior = _log_beta(a, b) + log_beta_tail(allowed, a, b)
    at_allowed = (failures * math.log(allowed) if failures else 0.0) + good * math.log1p(-allowed)
    log_e = averaged - prior - at_allowed
    return math.exp(log_e) if log_e < 709 else math.inf  # e^709 is the largest double


def log_beta_tail(x: float, a: float, b: float) -> float:
    """The logarithm of the probability that a Beta(a, b) is above `x`, 0 <= x < 1.

    By the continued fraction of the regularised incomplete beta function (W. H. Press et al.,
    Numerical Recipes, 3rd ed. (2007), section 6.4), on the side of the mean where it converges
    fast. Relative error of the probability below 1e-9 for a + b up to 100,000.
    """
    if x <= 0:
        return 0.0
    if 1 - x < (b + 1) / (a + b + 2):
        return _log_lower(1 - x, x, b, a)
    return math.log1p(-math.exp(_log_lower(x, 1 - x, a, b)))


@lru_cache(maxsize=64)
def student_t(share: float, freedom: int) -> float:
    """The t within which so much of Student's distribution lies, on both sides of 0 together.

    1.28 for 80 % and many degrees of freedom, 3.08 for one. From the beta distribution
    (Abramowitz and Stegun, 26.7.1), by bisection. Errors: ValueError for impossible arguments.
    """
    if not 0 < share < 1 or freedom < 1:
        raise ValueError(f"no t holds {share} of a distribution with {freedom} degrees of freedom")
    outside = math.log(1 - share)
    u = _bisect(lambda u: log_beta_tail(u, 0.5, freedom / 2) > outside)
    return math.sqrt(freedom * u / (1 - u))


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that at least `share` of them do not exceed.

    Always a value that was seen (type 1 of R. J. Hyndman and Y. Fan, Sample quantiles in
    statistical packages, Am. Statist. 50 (1996), 361-365). Errors: ValueError for no values.
    """
    if not values:
        raise ValueError("a quantile needs at least one value")
    rank = math.ceil(round(share * len(values), 9))  # 0.95 × 20 is 19, not a hair more
    return sorted(values)[max(rank, 1) - 1]


def _bisect(is_below: Callable[[float], bool]) -> float:
    """Where, between 0 and 1, `is_below` turns from true to false."""
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return low


def _log_lower(x: float, rest: float, a: float, b: float) -> float:
    """log I_x(a, b), where `rest` is 1 - x, for x below about the mean."""
    front = a * math.log(x) + b * math.log(rest) - _log_beta(a, b) - math.log(a)
    return front + math.log(_continued_fraction(x, a, b))


def _continued_fraction(x: float, a: float, b: float) -> float:
    """Lentz's method, two steps at a time. Needs some sqrt(max(a, b)) rounds."""
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _CLOSE_ENOUGH:
            return value
    raise ArithmeticError(f"the incomplete beta function did not converge at {x}, {a}, {b}")


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _check(successes: int, trials: int) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is impossible")
