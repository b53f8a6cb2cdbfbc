"""From raw rows to figures, verdicts and validity."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cloud_assets.benchmarks.measurement import (
    Subject,
    lag_limit,
    measure,
    reasons_against,
    worst,
)
from cloud_assets.documents import BenchmarkReport, Verdict
from cloud_assets.settings import Objective, Profile, Target
from resources.load.rows import RequestRow
from resources.load.run import ClientFacts, LoadResult
from tests.doubles.request_rows import make_row

SUBJECT = Subject("qa.run.1", "d" * 64, "requests.parquet", datetime(2026, 1, 1, tzinfo=UTC))
PROFILE = Profile(
    rate=10, warmup_seconds=1, steady_seconds=10, cooldown_seconds=1, output_tokens=3, targets=()
)
CLIENT = ClientFacts(0.0, 12.0, 0.1, 0.001, 0.002, "2.47.0", 100, 0.1, 0.1)


def make_rows(
    count: int = 100, *, failed: int = 0, latency: float = 0.3, **changes: Any
) -> tuple[RequestRow, ...]:
    """`count` steady requests over the 10 s from 1 on; the first `failed` of them are failures."""
    return tuple(
        make_row(
            number,
            intended=1 + 10 * number / count,
            latency=latency,
            **{**changes, "error": "timeout" if number < failed else None},
        )
        for number in range(count)
    )


def report(
    rows: tuple[RequestRow, ...],
    *targets: Target,
    scheduled: int | None = None,
    client: ClientFacts = CLIENT,
    **profile: Any,
) -> BenchmarkReport:
    wanted = PROFILE.model_copy(update={"targets": targets, **profile})
    return measure(
        LoadResult(rows, len(rows) if scheduled is None else scheduled, client), wanted, SUBJECT
    )


def at_most(metric: Any, bound: float) -> Target:
    return Target(metric=metric, at_most=bound)


def at_least(metric: Any, bound: float) -> Target:
    return Target(metric=metric, at_least=bound)


# What is counted, and from where.


def test_latency_runs_from_the_intended_time() -> None:
    rows = make_rows(latency=0.3)
    late = tuple(replace(row, sent=row.intended + 0.2) for row in rows)
    assert report(late).latency.p50 == pytest.approx(0.3)


def test_time_to_first_token_runs_from_the_intended_time() -> None:
    assert report(make_rows(latency=0.3)).ttft.p50 == pytest.approx(0.1)


def test_inter_token_times_are_the_gaps_between_chunks() -> None:
    assert report(make_rows(latency=0.3)).inter_token.p50 == pytest.approx(0.1)


def test_requests_of_other_phases_are_left_out_of_the_latencies() -> None:
    slow = make_row(900, intended=0.1, latency=9.0, phase="warmup")
    assert report((*make_rows(), slow)).latency.maximum == pytest.approx(0.3)


def test_requests_count_by_the_steady_phase_only() -> None:
    cooldown = make_row(900, intended=11.5, phase="cooldown", error="timeout")
    found = report((*make_rows(), cooldown))
    assert (found.requests, found.failures) == (100, 0)


def test_a_failed_request_has_infinite_latency() -> None:
    latency = report(make_rows(failed=6)).latency
    assert latency.p90 == pytest.approx(0.3)
    assert latency.p95 == math.inf


def test_a_failed_request_has_infinite_ttft_even_if_it_began() -> None:
    assert report(make_rows(failed=6)).ttft.p95 == math.inf


def test_a_failed_request_is_not_good() -> None:
    found = report(make_rows(failed=10))
    assert found.attainment is not None
    assert found.goodput == pytest.approx(9.0)
    assert found.attainment.value == pytest.approx(0.9)


def test_a_slow_request_is_not_good() -> None:
    rows = (*make_rows(90), *(make_row(90 + n, intended=5, latency=1.5) for n in range(10)))
    assert report(rows, objective=Objective(latency=1.0)).goodput == pytest.approx(9.0)


def test_a_late_first_token_is_not_good() -> None:
    assert report(make_rows(), objective=Objective(latency=None, ttft=0.05)).goodput == 0


def test_throughput_counts_what_came_back_within_the_window() -> None:
    # Everything sent takes 5 s: what was sent in the second half comes back too late.
    assert report(make_rows(latency=5.0)).throughput == pytest.approx(5.0, abs=0.11)


def test_throughput_counts_what_was_sent_in_the_warm_up() -> None:
    early = make_row(900, intended=0.9, latency=0.2, phase="warmup")
    assert report((*make_rows(), early)).throughput == pytest.approx(9.7 + 0.1, abs=0.11)


def test_tokens_count_where_they_came() -> None:
    # Chunks at 10.9, 11.1 and 11.3; the window ends at 11: a third of the 3 tokens.
    row = make_row(0, intended=10.7, chunks=(10.9, 11.1, 11.3))
    assert report((row,)).output_tokens_per_second == pytest.approx(1 / 10)


def test_an_answer_that_was_not_streamed_has_no_ttft() -> None:
    rows = make_rows(first_token=None, chunks=())
    found = report(rows, stream=False)
    assert found.ttft.p50 is None
    assert found.goodput == pytest.approx(10.0)


# Targets.


# Each sentence with the rows it speaks of, the target, and the verdict.
VERDICTS: dict[str, tuple[tuple[RequestRow, ...], Target, Verdict]] = {
    "a clear latency passes": (make_rows(), at_most("latency_p95", 1.0), Verdict.PASS),
    "a clear miss fails": (make_rows(latency=1.2), at_most("latency_p95", 1.0), Verdict.FAIL),
    "an interval that holds the bound is undecided": (
        tuple(
            make_row(n, intended=1 + n / 10, latency=0.9 + 0.2 * (n % 20) / 19) for n in range(100)
        ),
        at_most("latency_p50", 1.0),
        Verdict.UNDECIDED,
    ),
    "too few cannot pass": (make_rows(71), at_most("latency_p95", 1.0), Verdict.UNDECIDED),
    "too few can fail": (make_rows(71, latency=2), at_most("latency_p95", 1.0), Verdict.FAIL),
    "failures are slow": (make_rows(failed=20), at_most("latency_p95", 1.0), Verdict.FAIL),
    "no failure is none": (make_rows(25), at_most("failure_share", 0), Verdict.PASS),
    "one failure is too many": (make_rows(failed=1), at_most("failure_share", 0), Verdict.FAIL),
    "few failures of many": (make_rows(), at_most("failure_share", 0.05), Verdict.PASS),
    "a share near its bound": (
        make_rows(failed=5),
        at_most("failure_share", 0.05),
        Verdict.UNDECIDED,
    ),
    "many failures": (make_rows(failed=20), at_most("failure_share", 0.05), Verdict.FAIL),
    "all were good": (make_rows(), at_least("attainment", 1.0), Verdict.PASS),
    "one was not good": (make_rows(failed=1), at_least("attainment", 1.0), Verdict.FAIL),
    "all that was offered was good": (make_rows(), at_least("goodput", 10.0), Verdict.PASS),
    "more than was offered": (make_rows(), at_least("goodput", 11.0), Verdict.FAIL),
    "throughput far above": (make_rows(), at_least("throughput", 5.0), Verdict.PASS),
    "throughput near": (make_rows(), at_least("throughput", 9.0), Verdict.UNDECIDED),
    "throughput far below": (make_rows(), at_least("throughput", 15.0), Verdict.FAIL),
    "tokens far above": (make_rows(), at_least("output_tokens_per_second", 20), Verdict.PASS),
    "tokens near": (make_rows(), at_least("output_tokens_per_second", 29), Verdict.UNDECIDED),
    "tokens far below": (make_rows(), at_least("output_tokens_per_second", 40), Verdict.FAIL),
}


@pytest.mark.parametrize("sentence", VERDICTS)
def test_a_target_is_judged_by_its_interval(sentence: str) -> None:
    rows, target, expected = VERDICTS[sentence]
    assert report(rows, target).targets[0].verdict is expected


def test_the_goodput_interval_is_that_of_the_share() -> None:
    found = report(make_rows(failed=10), at_least("goodput", 8.0)).targets[0]
    assert found.measured is not None
    assert (round(found.measured.low, 2), round(found.measured.high, 2)) == (8.26, 9.45)


def test_a_target_on_what_was_not_seen_is_undecided() -> None:
    found = report(make_rows(first_token=None), at_most("ttft_p95", 1.0), stream=False)
    assert (found.targets[0].measured, found.verdict) == (None, Verdict.UNDECIDED)


def test_a_target_names_its_unit_and_comparison() -> None:
    found = report(make_rows(), at_most("ttft_p95", 1.0), at_least("goodput", 1.0)).targets
    assert [(t.unit, t.comparison) for t in found] == [("s", "<="), ("requests/s", ">=")]


def test_the_run_is_as_good_as_its_worst_target() -> None:
    found = report(make_rows(), at_most("latency_p95", 1.0), at_most("latency_p95", 0.2))
    assert found.verdict is Verdict.FAIL


def test_failed_weighs_more_than_undecided() -> None:
    assert worst([Verdict.UNDECIDED, Verdict.FAIL, Verdict.PASS]) is Verdict.FAIL


def test_a_run_without_targets_passes() -> None:
    assert report(make_rows()).verdict is Verdict.PASS


# Validity.


def test_a_run_without_requests_is_invalid() -> None:
    found = report((), at_most("failure_share", 0.0))
    assert (found.verdict, found.latency.p50, found.attainment) == (Verdict.INVALID, None, None)


def test_a_run_without_steady_requests_is_invalid() -> None:
    assert report((make_row(0, intended=0, phase="warmup"),)).verdict is Verdict.INVALID


def test_a_run_with_missing_rows_is_invalid() -> None:
    found = report(make_rows(99), scheduled=100)
    assert found.invalid == ("1 of 100 requests left no row",)


def test_a_lagging_client_makes_the_run_invalid() -> None:
    rows = tuple(replace(row, sent=row.intended + 0.12) for row in make_rows())
    assert report(rows).invalid == ("the client sent late: P99 0.120 s, allowed are 0.100 s",)


def test_lag_in_the_warm_up_does_no_harm() -> None:
    early = make_row(900, intended=0.1, sent=0.9, phase="warmup")
    assert report((*make_rows(), early)).invalid == ()


def test_a_busy_client_makes_the_run_invalid() -> None:
    found = report(make_rows(), client=replace(CLIENT, cpu_share=0.81))
    assert found.invalid == ("the client used 81% of its core",)


def test_no_target_of_an_invalid_run_passes() -> None:
    found = report(make_rows(99), at_most("latency_p95", 1.0), scheduled=100)
    assert [target.verdict for target in found.targets] == [Verdict.INVALID]


def test_every_reason_is_given() -> None:
    result = LoadResult((), 10, replace(CLIENT, cpu_share=1.0))
    assert len(reasons_against(result, PROFILE)) == 3


@pytest.mark.parametrize(("bound", "limit"), [(10.0, 0.5), (1.0, 0.1), (0.5, 0.1), (0.1, 0.02)])
def test_the_allowed_lag_follows_the_tightest_bound(bound: float, limit: float) -> None:
    profile = PROFILE.model_copy(
        update={"targets": (at_most("ttft_p95", bound),), "objective": Objective(latency=None)}
    )
    assert lag_limit(profile) == pytest.approx(limit)


def test_the_objective_tightens_the_allowed_lag() -> None:
    profile = PROFILE.model_copy(update={"objective": Objective(latency=1.0, ttft=0.1)})
    assert lag_limit(profile) == pytest.approx(0.02)


def test_without_bounds_the_floor_is_allowed() -> None:
    assert lag_limit(PROFILE.model_copy(update={"objective": Objective(latency=None)})) == 0.1


# The document.


def test_a_report_with_infinite_figures_survives_json() -> None:
    found = report(make_rows(20, failed=5), at_most("latency_p95", 1.0))
    assert BenchmarkReport.model_validate_json(found.model_dump_json()) == found
