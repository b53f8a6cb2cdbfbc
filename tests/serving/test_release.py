"""The decision about one checkpoint: every branch, by its reports alone."""

from datetime import UTC, datetime
from typing import Literal

import pytest

from cloud_assets.documents import (
    BenchmarkReport,
    Interval,
    Outcome,
    Percentiles,
    QualityReport,
    TargetResult,
    Verdict,
)
from cloud_assets.serving.release import decide

KEY = "qa.run.100"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOTHING = Percentiles(p50=None, p90=None, p95=None, p99=None, maximum=None)


def quality(*, passed: bool, reasons: tuple[str, ...] = ("90 of 100 right",)) -> QualityReport:
    return QualityReport(
        key=KEY,
        digest="d",
        suite="capitals",
        suite_sha256="s",
        items=(),
        accuracy=Interval(value=0.9, low=0.8, high=0.95),
        comparison=None,
        passed=passed,
        reasons=reasons,
        seconds=1.0,
        measured_at=NOW,
    )


def target(verdict: Verdict, *, measured: Interval | None = None) -> TargetResult:
    return TargetResult(
        metric="latency_p95",
        comparison="<=",
        bound=1.0,
        unit="s",
        measured=measured,
        verdict=verdict,
    )


def benchmark(
    verdict: Verdict, *targets: TargetResult, invalid: tuple[str, ...] = ()
) -> BenchmarkReport:
    return BenchmarkReport(
        key=KEY,
        digest="d",
        profile="smoke",
        requests=100,
        failures=0,
        duration_seconds=5,
        offered_rate=20,
        throughput=20,
        output_tokens_per_second=100,
        goodput=20,
        attainment=None,
        latency=NOTHING,
        ttft=NOTHING,
        inter_token=NOTHING,
        send_lag_p99=0.0,
        client_cpu=0.1,
        targets=targets,
        verdict=verdict,
        invalid=invalid,
        rows="rows.parquet",
        measured_at=NOW,
    )


GOOD = quality(passed=True)
FAST = benchmark(Verdict.PASS, target(Verdict.PASS))


def test_one_that_was_finished_before_the_champion_waits_for_somebodys_word() -> None:
    ruling = decide(GOOD, FAST, promotion="automatic", newer="qa.run.300")
    assert (ruling.outcome, ruling.reasons, ruling.fix) == (
        Outcome.HELD,
        ("all gates hold, but the champion `qa.run.300` was finished later",),
        f"ai-how promote {KEY}",
    )


def test_a_bad_one_is_rejected_however_old_it_is() -> None:
    ruling = decide(quality(passed=False), FAST, promotion="automatic", newer="qa.run.300")
    assert ruling.outcome is Outcome.REJECTED


def test_when_every_gate_holds_it_is_promoted_with_what_held() -> None:
    ruling = decide(GOOD, FAST, promotion="automatic")
    assert (ruling.outcome, ruling.reasons, ruling.fix) == (
        Outcome.PROMOTED,
        ("90 of 100 right", "1 of 1 targets of `smoke` held"),
        None,
    )


def test_where_promotion_is_manual_it_is_held_for_a_person() -> None:
    ruling = decide(GOOD, FAST, promotion="manual")
    assert (ruling.outcome, ruling.fix) == (Outcome.HELD, f"ai-how promote {KEY}")


@pytest.mark.parametrize("promotion", ["automatic", "manual"])
def test_poor_quality_rejects_whatever_else_is_known(
    promotion: Literal["automatic", "manual"],
) -> None:
    for load in (FAST, None, benchmark(Verdict.INVALID, invalid=("lag",))):
        ruling = decide(
            quality(passed=False, reasons=("2 of 100 right",)), load, promotion=promotion
        )
        assert (ruling.outcome, ruling.reasons) == (Outcome.REJECTED, ("2 of 100 right",))


def test_without_a_quality_report_it_is_held() -> None:
    ruling = decide(None, FAST, promotion="automatic")
    assert (ruling.outcome, ruling.fix) == (Outcome.HELD, "materialise quality_report")


def test_without_a_load_test_it_is_held() -> None:
    ruling = decide(GOOD, None, promotion="automatic")
    assert (ruling.outcome, ruling.fix) == (Outcome.HELD, "materialise benchmark_report")


def test_a_missed_target_rejects_with_figure_interval_and_bound() -> None:
    missed = target(Verdict.FAIL, measured=Interval(value=1.5, low=1.4, high=1.6))
    ruling = decide(
        GOOD, benchmark(Verdict.FAIL, target(Verdict.PASS), missed), promotion="automatic"
    )
    assert (ruling.outcome, ruling.reasons) == (
        Outcome.REJECTED,
        ("latency_p95 1.5 s [1.4, 1.6], wanted <= 1: fail",),
    )


def test_a_target_that_could_not_be_decided_holds() -> None:
    open_ = target(Verdict.UNDECIDED, measured=Interval(value=1.0, low=0.9, high=1.1))
    ruling = decide(GOOD, benchmark(Verdict.UNDECIDED, open_), promotion="automatic")
    assert (ruling.outcome, ruling.fix) == (
        Outcome.HELD,
        "measure longer: raise benchmark.steady_seconds",
    )


def test_a_verdict_without_a_figure_is_named_itself() -> None:
    ruling = decide(
        GOOD, benchmark(Verdict.UNDECIDED, target(Verdict.UNDECIDED)), promotion="automatic"
    )
    assert ruling.reasons == ("the load test's verdict is undecided",)


def test_an_invalid_load_test_holds_with_each_reason() -> None:
    report = benchmark(Verdict.INVALID, invalid=("the client lagged", "no requests"))
    ruling = decide(GOOD, report, promotion="automatic")
    assert (ruling.outcome, ruling.reasons) == (
        Outcome.HELD,
        (
            "the load test is invalid: the client lagged",
            "the load test is invalid: no requests",
        ),
    )


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INVALID, Verdict.UNDECIDED])
def test_nothing_but_a_pass_is_promoted(verdict: Verdict) -> None:
    assert decide(GOOD, benchmark(verdict), promotion="automatic").outcome is not Outcome.PROMOTED


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_decision_has_a_reason(verdict: Verdict) -> None:
    report = benchmark(verdict, invalid=("lag",) if verdict is Verdict.INVALID else ())
    assert all(decide(GOOD, report, promotion="automatic").reasons)
