"""Percentiles and intervals against figures that are known."""

import math
import random

import numpy as np
import pytest

from cloud_assets.benchmarks.statistics import (
    amount_interval,
    count_interval,
    percentile,
    percentile_interval,
    percentiles,
    scaled,
    share_interval,
)
from cloud_assets.documents import Interval, Percentiles

# Of 400 intervals at 95 %, fewer than 365 (or, for exact ones, that are wider, none) hold by
# chance with a probability of 3e-4: binomial(400, 0.95).
TRIALS, ENOUGH = 400, 365


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
def test_percentiles_agree_with_numpy(seed: int, share: float) -> None:
    source = random.Random(seed)
    values = sorted(source.expovariate(1.0) for _ in range(source.randint(1, 300)))
    expected = np.quantile(values, share, method="inverted_cdf")
    assert percentile(values, share) == expected


def test_a_percentile_is_a_value_that_was_seen() -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0


def test_a_single_value_is_every_percentile() -> None:
    assert percentiles([2.0]) == Percentiles(p50=2.0, p90=2.0, p95=2.0, p99=2.0, maximum=2.0)


def test_nothing_seen_has_no_percentiles() -> None:
    assert percentiles([]).p50 is None


def test_nothing_seen_has_no_percentile_interval() -> None:
    assert percentile_interval([], 0.95) is None


def test_infinite_values_reach_the_percentiles_their_number_reaches() -> None:
    values = [1.0] * 94 + [math.inf] * 6
    found = percentiles(values)
    assert (found.p90, found.p95) == (1.0, math.inf)


def test_the_order_of_the_values_does_not_matter() -> None:
    values = [float(value) for value in range(200)]
    shuffled = random.Random(1).sample(values, 200)
    assert percentile_interval(values, 0.95) == percentile_interval(shuffled, 0.95)


@pytest.mark.parametrize(("share", "needed"), [(0.95, 72), (0.99, 368)])
def test_a_small_sample_has_no_upper_end(share: float, needed: int) -> None:
    few, enough = [0.1] * (needed - 1), [0.1] * needed
    assert [percentile_interval(v, share).high for v in (few, enough)] == [math.inf, 0.1]  # type: ignore[union-attr]


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_percentile_intervals_cover_the_truth(share: float) -> None:
    source = random.Random(3)
    truth = -math.log(1 - share)
    found = [
        percentile_interval([source.expovariate(1.0) for _ in range(150)], share)
        for _ in range(TRIALS)
    ]
    assert sum(i is not None and i.low <= truth <= i.high for i in found) >= ENOUGH


def test_share_intervals_cover_the_truth() -> None:
    source = random.Random(4)
    found = [
        share_interval(sum(source.random() < 0.9 for _ in range(120)), 120) for _ in range(TRIALS)
    ]
    assert sum(i is not None and i.low <= 0.9 <= i.high for i in found) >= ENOUGH


def _arrivals(source: random.Random, rate: float, seconds: float) -> int:
    count, at = 0, source.expovariate(rate)
    while at < seconds:
        count, at = count + 1, at + source.expovariate(rate)
    return count


def test_count_intervals_cover_the_truth() -> None:
    source = random.Random(5)
    found = [count_interval(_arrivals(source, 4.0, 10.0), 10.0) for _ in range(TRIALS)]
    assert sum(i.low <= 4.0 <= i.high for i in found) >= ENOUGH


def test_amount_intervals_cover_the_truth() -> None:
    source = random.Random(6)
    found = [
        amount_interval([source.uniform(0, 20) for _ in range(_arrivals(source, 8.0, 10.0))], 10.0)
        for _ in range(TRIALS)
    ]
    assert sum(i.low <= 80.0 <= i.high for i in found) >= ENOUGH


def test_wilson_agrees_with_a_published_value() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81/263 by the score method.
    found = share_interval(81, 263)
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)


def test_no_trials_have_no_share() -> None:
    assert share_interval(0, 0) is None


def test_garwood_agrees_with_a_published_value() -> None:
    # Ulm 1990, American Journal of Epidemiology 131:373: 5 events, 1.62 to 11.67.
    found = count_interval(5, 1.0)
    assert (round(found.low, 2), round(found.high, 2)) == (1.62, 11.67)


def test_no_events_have_a_rate_between_zero_and_the_rule_of_three() -> None:
    found = count_interval(0, 1.0)
    assert (found.low, round(found.high, 2)) == (0.0, 3.69)


def test_no_amounts_have_the_rate_zero() -> None:
    assert amount_interval([], 5.0) == Interval(value=0, low=0, high=0)


def test_scaling_an_interval_scales_its_ends() -> None:
    assert scaled(Interval(value=2, low=1, high=3), 10) == Interval(value=20, low=10, high=30)
