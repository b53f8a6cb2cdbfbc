"""Estimates and their 95 % intervals from raw figures: percentiles, shares, rates. Pure.

What is measured and what it means for a target is the business of `measurement`.
"""

import math
from collections.abc import Sequence

from cloud_assets.documents import Interval, Percentiles
from cloud_assets.wilson import wilson

CONFIDENCE = 0.95
_TAIL = (1 - CONFIDENCE) / 2


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of `ordered` (ascending, not empty) do not exceed.

    The inverse of the empirical distribution, without interpolation (Hyndman and Fan 1996,
    definition 1): a value that was seen, also among infinite ones.
    """
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)]


def percentiles(values: Sequence[float]) -> Percentiles:
    """The percentiles of a report; all None when there are no values."""
    if not values:
        return Percentiles(p50=None, p90=None, p95=None, p99=None, maximum=None)
    ordered = sorted(values)
    return Percentiles(
        p50=percentile(ordered, 0.50),
        p90=percentile(ordered, 0.90),
        p95=percentile(ordered, 0.95),
        p99=percentile(ordered, 0.99),
        maximum=ordered[-1],
    )


def percentile_interval(values: Sequence[float], share: float) -> Interval | None:
    """A percentile of non-negative values with its distribution-free interval.

    The ends are order statistics: x(l) and x(u) with l and u - 1 the binomial(n, share) quantiles
    of 0.025 and 0.975 (Conover, Practical Nonparametric Statistics, 3rd ed., section 3.2; Hahn and
    Meeker, Statistical Intervals, section 5.2). Where the sample is too small to have such an end,
    it is 0 or infinity: a P95 has an upper end from 72 values on, a P99 from 368.
    """
    from scipy.stats import binom

    if not values:
        return None
    ordered = sorted(values)
    lower = int(binom.ppf(_TAIL, len(ordered), share))
    upper = int(binom.ppf(1 - _TAIL, len(ordered), share)) + 1
    return Interval(
        value=percentile(ordered, share),
        low=ordered[lower - 1] if lower >= 1 else 0.0,
        high=ordered[upper - 1] if upper <= len(ordered) else math.inf,
    )


def share_interval(count: int, total: int) -> Interval | None:
    """`count` of `total` with Wilson's score interval; None for a total of 0."""
    return wilson(count, total, confidence=CONFIDENCE) if total else None


def count_interval(count: int, seconds: float) -> Interval:
    """Events a second with the exact Poisson interval (Garwood 1936)."""
    from scipy.stats import chi2

    low = chi2.ppf(_TAIL, 2 * count) / 2 if count else 0.0
    high = chi2.ppf(1 - _TAIL, 2 * count + 2) / 2
    return Interval(value=count / seconds, low=float(low) / seconds, high=float(high) / seconds)


def amount_interval(amounts: Sequence[float], seconds: float) -> Interval:
    """The sum of `amounts` a second, such as tokens of requests, with a normal interval.

    A compound Poisson sum has the variance of the sum of squares (Ross, Introduction to
    Probability Models, section 5.4.2). The low end is not below 0.
    """
    total = sum(amounts)
    half = 1.959964 * math.sqrt(sum(amount * amount for amount in amounts))
    return Interval(
        value=total / seconds, low=max(0.0, total - half) / seconds, high=(total + half) / seconds
    )


def scaled(interval: Interval | None, factor: float) -> Interval | None:
    """The interval in another unit."""
    if interval is None:
        return None
    return Interval(
        value=interval.value * factor, low=interval.low * factor, high=interval.high * factor
    )
