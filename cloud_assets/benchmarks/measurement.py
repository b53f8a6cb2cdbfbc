"""From the raw rows of a load test to its report: figures, targets, verdict, validity. Pure.

The estimators are in `statistics`; drawing the report is a neighbour's business.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from cloud_assets.benchmarks.schedule import Phase
from cloud_assets.benchmarks.statistics import (
    amount_interval,
    count_interval,
    percentile,
    percentile_interval,
    percentiles,
    scaled,
    share_interval,
)
from cloud_assets.documents import BenchmarkReport, Interval, TargetResult, Verdict
from cloud_assets.settings import Profile, Target
from resources.load.rows import RequestRow
from resources.load.run import ClientFacts, LoadResult

# A client busier than this share of its one core delays what it measures; Locust warns at 0.9.
MAXIMUM_CLIENT_CPU = 0.8
LAG_SHARE = 0.05
LAG_FLOOR_SECONDS = 0.1
LAG_CEILING_SHARE = 0.2

_UNITS = {
    "throughput": "requests/s",
    "output_tokens_per_second": "tokens/s",
    "goodput": "requests/s",
    "attainment": "share",
    "failure_share": "share",
}
_WORST_FIRST = (Verdict.INVALID, Verdict.FAIL, Verdict.UNDECIDED, Verdict.PASS)


@dataclass(frozen=True)
class Subject:
    """What was measured and when: checkpoint key, manifest digest, where the raw rows are kept."""

    key: str
    digest: str
    rows: str
    measured_at: datetime


@dataclass(frozen=True)
class Window:
    """The steady window: the rows meant to be sent in it, and all rows, which may end in it."""

    start: float
    seconds: float
    steady: tuple[RequestRow, ...]
    every: tuple[RequestRow, ...]
    streamed: bool

    def holds(self, moment: float) -> bool:
        return self.start <= moment < self.start + self.seconds

    @property
    def failures(self) -> int:
        return sum(not row.ok for row in self.steady)

    @property
    def offered_rate(self) -> float:
        return len(self.steady) / self.seconds

    @property
    def latencies(self) -> list[float]:
        return [row.latency if row.ok else math.inf for row in self.steady]

    @property
    def ttfts(self) -> list[float]:
        """Empty when answers were not streamed: a whole answer has no first token of its own."""
        return [_ttft(row) for row in self.steady] if self.streamed else []

    @property
    def gaps(self) -> list[float]:
        return [later - sooner for row in self.steady for sooner, later in pairwise(row.chunks)]

    @property
    def completed(self) -> int:
        return sum(row.ok and self.holds(row.end) for row in self.every)

    @property
    def tokens(self) -> list[float]:
        """Output tokens that came within the window, by request."""
        return [tokens for row in self.every if (tokens := self._tokens(row))]

    def _tokens(self, row: RequestRow) -> float:
        moments = row.chunks or (row.end,)
        return row.output_tokens * sum(map(self.holds, moments)) / len(moments)


def measure(result: LoadResult, profile: Profile, subject: Subject) -> BenchmarkReport:
    """The report of one load test, all of it of the steady window, in seconds.

    - `throughput` and `output_tokens_per_second` count what came back within the window, whenever
      it was sent: what a server that falls behind can do.
    - The other figures are of the requests meant to be sent in the window, whenever they ended.
      Latency and TTFT run from the intended time, are infinite for a failed request, never good.
    - `goodput` counts requests within `profile.objective`, `inter_token` pools the gaps between
      pieces of content. A reason in `invalid` makes every verdict `invalid`.
    """
    window = _window(result, profile)
    figures = _figures(window, profile)
    invalid = reasons_against(result, profile)
    targets = tuple(
        _judge(target, figures[target.metric], None if invalid else window)
        for target in profile.targets
    )
    return BenchmarkReport(
        key=subject.key,
        digest=subject.digest,
        profile=profile.name,
        requests=len(window.steady),
        failures=window.failures,
        duration_seconds=window.seconds,
        offered_rate=window.offered_rate,
        throughput=window.completed / window.seconds,
        output_tokens_per_second=sum(window.tokens) / window.seconds,
        goodput=_good(window, profile) / window.seconds,
        attainment=figures["attainment"],
        latency=percentiles(window.latencies),
        ttft=percentiles(window.ttfts),
        inter_token=percentiles(window.gaps),
        send_lag_p99=_lag_p99(window.steady),
        client_cpu=result.client.cpu_share,
        targets=targets,
        verdict=Verdict.INVALID if invalid else worst([found.verdict for found in targets]),
        invalid=invalid,
        rows=subject.rows,
        measured_at=subject.measured_at,
    )


def reasons_against(result: LoadResult, profile: Profile) -> tuple[str, ...]:
    """Why the run says nothing about the server; empty for a valid run.

    No request in the steady window; fewer rows than were scheduled; a client busier than
    `MAXIMUM_CLIENT_CPU`; a P99 of the send lag above `lag_limit`.
    """
    steady = _window(result, profile).steady
    lag, limit = _lag_p99(steady), lag_limit(profile)
    checks = (
        (not steady, "no request fell into the steady window"),
        (
            len(result.rows) < result.scheduled,
            f"{result.scheduled - len(result.rows)} of {result.scheduled} requests left no row",
        ),
        (_overloaded(result.client), f"the client used {result.client.cpu_share:.0%} of its core"),
        (lag > limit, f"the client sent late: P99 {lag:.3f} s, allowed are {limit:.3f} s"),
    )
    return tuple(reason for holds, reason in checks if holds)


def lag_limit(profile: Profile) -> float:
    """The P99 of the send lag, in seconds, above which the client is to blame, not the server.

    5 % of the tightest bound on a latency or TTFT, but at least 100 ms where that is no more than a
    fifth of the bound: lag only ever adds to what is reported, it never flatters, and on a busy
    machine of two cores it reaches 40 ms (on a quiet one 2 to 5 ms).
    """
    bounds = [
        target.at_most
        for target in profile.targets
        if target.at_most is not None and target.metric.startswith(("latency", "ttft"))
    ]
    goals = [profile.objective.latency, profile.objective.ttft]
    tightest = min([*bounds, *(goal for goal in goals if goal is not None)], default=None)
    if tightest is None:
        return LAG_FLOOR_SECONDS
    return max(LAG_SHARE * tightest, min(LAG_FLOOR_SECONDS, LAG_CEILING_SHARE * tightest))


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst of the verdicts; a run without targets passes."""
    return min(verdicts, key=_WORST_FIRST.index, default=Verdict.PASS)


def _window(result: LoadResult, profile: Profile) -> Window:
    return Window(
        start=profile.warmup_seconds,
        seconds=profile.steady_seconds,
        steady=tuple(row for row in result.rows if row.phase == Phase.STEADY),
        every=result.rows,
        streamed=profile.stream,
    )


def _figures(window: Window, profile: Profile) -> dict[str, Interval | None]:
    """Every metric a target may name, with its interval; None where nothing was seen."""
    requests = len(window.steady)
    attainment = share_interval(_good(window, profile), requests)
    return {
        **{
            f"{name}_p{share}": percentile_interval(values, share / 100)
            for name, values in (("latency", window.latencies), ("ttft", window.ttfts))
            for share in (50, 95, 99)
        },
        "throughput": count_interval(window.completed, window.seconds),
        "output_tokens_per_second": amount_interval(window.tokens, window.seconds),
        # The arrivals are fixed by the schedule: only the share of good ones is uncertain.
        "goodput": scaled(attainment, window.offered_rate),
        "attainment": attainment,
        "failure_share": share_interval(window.failures, requests),
    }


def _judge(target: Target, measured: Interval | None, valid: Window | None) -> TargetResult:
    upper = target.at_most is not None
    bound = target.at_most if target.at_most is not None else target.at_least
    assert bound is not None
    return TargetResult(
        metric=target.metric,
        comparison="<=" if upper else ">=",
        bound=bound,
        unit=_UNITS.get(target.metric, "s"),
        measured=measured,
        verdict=_verdict(target, measured, valid.offered_rate) if valid else Verdict.INVALID,
    )


def _verdict(target: Target, measured: Interval | None, offered_rate: float) -> Verdict:
    """Pass or fail when the whole interval is on one side of the bound, else undecided.

    A bound at the very end of what is possible (no failure, all good) is never cleared by an
    interval, so it is taken as a statement about this run and judged by the figure itself.
    """
    if measured is None:
        return Verdict.UNDECIDED
    low, high = measured.low, measured.high
    if _at_the_end(target, offered_rate):
        low = high = measured.value
    if target.at_most is not None:
        passed, failed = high <= target.at_most, low > target.at_most
    else:
        assert target.at_least is not None
        passed, failed = low >= target.at_least, high < target.at_least
    if passed:
        return Verdict.PASS
    return Verdict.FAIL if failed else Verdict.UNDECIDED


def _at_the_end(target: Target, offered_rate: float) -> bool:
    if target.at_most is not None:
        return target.at_most == 0.0
    return target.at_least == (offered_rate if target.metric == "goodput" else 1.0) and (
        target.metric in ("goodput", "attainment", "failure_share")
    )


def _good(window: Window, profile: Profile) -> int:
    goal = profile.objective
    return sum(
        row.ok
        and (goal.latency is None or row.latency <= goal.latency)
        and (goal.ttft is None or not window.streamed or _ttft(row) <= goal.ttft)
        for row in window.steady
    )


def _ttft(row: RequestRow) -> float:
    return math.inf if not row.ok or row.ttft is None else row.ttft


def _lag_p99(rows: Sequence[RequestRow]) -> float:
    return percentile(sorted(row.send_lag for row in rows), 0.99) if rows else 0.0


def _overloaded(client: ClientFacts) -> bool:
    return client.cpu_share > MAXIMUM_CLIENT_CPU
