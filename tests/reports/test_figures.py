"""Figures drawn from rows, the odd ones too."""

import math
import random
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from cloud_assets.documents import (
    Interval,
    Outcome,
    PairedComparison,
    QualityReport,
    TargetResult,
    Verdict,
)
from cloud_assets.reports import figures, trend
from cloud_assets.reports.svg import plain, thinned
from cloud_assets.reports.trend import TrendPoint
from cloud_assets.wilson import wilson
from resources.load.rows import RequestRow
from tests.doubles.request_rows import make_row

SVG = "{http://www.w3.org/2000/svg}"
COUNTS = [0, 1, 3, 10_000]
TARGETS = tuple(
    TargetResult(
        metric=metric, comparison="<=", bound=bound, unit="s", measured=None, verdict=Verdict.FAIL
    )
    for metric, bound in [("latency_p95", 0.2), ("latency_p99", 900.0), ("ttft_p95", 0.05)]
)


def rows(count: int) -> list[RequestRow]:
    chance = random.Random(3)
    made = []
    for place in range(count):
        phase = ("steady", "warmup", "cooldown")[place % 10 % 3 if place % 10 > 6 else 0]
        latency = chance.lognormvariate(-2, 0.5)
        error = "timeout" if chance.random() < 0.01 else None
        made.append(make_row(place, intended=place / 20, latency=latency, phase=phase, error=error))
    return made


def points(count: int) -> list[TrendPoint]:
    outcomes = (*Outcome, None)
    return [
        TrendPoint(
            f"m.run{place % 2}.{place}", place, wilson(place % 50, 50), 0.2, 0.05, 7.5,
            outcomes[place % 4],
        )
        for place in range(count)
    ]  # fmt: skip


def report(comparison: PairedComparison | None = None) -> QualityReport:
    return QualityReport(
        key="m.r.2", digest="d", suite="s.jsonl", suite_sha256="ab", items=(),
        accuracy=wilson(53, 60), comparison=comparison, seconds=1.0,
        measured_at=datetime(2026, 2, 3, tzinfo=UTC),
    )  # fmt: skip


def parsed(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    return root


def texts(svg: str) -> str:
    return " ".join("".join(node.itertext()) for node in parsed(svg).iter(f"{SVG}text"))


LOAD: list[Callable[[Sequence[RequestRow]], str]] = [
    lambda given: figures.latency_histogram(given, TARGETS),
    lambda given: figures.latency_cdf(given, TARGETS),
    lambda given: figures.ttft_cdf(given, TARGETS),
    figures.throughput_over_time,
]
TREND = [
    trend.accuracy_trend,
    trend.latency_trend,
    trend.ttft_trend,
    trend.throughput_trend,
]
ODD_ROWS = [
    [make_row(intended=0, first_token=None, error="refused")] * 3,
    [make_row(intended=0, latency=0.0)] * 2,
    [make_row(intended=0, latency=math.nan, first_token=math.inf)],
    [make_row(intended=math.nan, end=1.0, first_token=0.1)],
    [make_row(intended=5, latency=1e-9, phase="warmup")],
    [
        make_row(intended=1e6, latency=1e6, phase="cooldown"),
        make_row(intended=0, latency=1e-6),
    ],
    [make_row(intended=1, latency=1, phase="no such phase")],
]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("figure", LOAD)
def test_load_figures_are_svg_of_bounded_size_for_any_number_of_rows(
    figure: Callable[[Sequence[RequestRow]], str], count: int
) -> None:
    svg = figure(rows(count))
    assert parsed(svg).get("role") == "img"
    assert len(svg) < 60_000


@pytest.mark.parametrize("odd", ODD_ROWS)
@pytest.mark.parametrize("figure", LOAD)
def test_load_figures_bear_odd_rows(
    figure: Callable[[Sequence[RequestRow]], str], odd: list[RequestRow]
) -> None:
    parsed(figure(odd))


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("figure", TREND)
def test_trends_are_svg_of_bounded_size_for_any_number_of_checkpoints(
    figure: Callable[[Sequence[TrendPoint], str | None], str], count: int
) -> None:
    svg = figure(points(count), "m.run1.1")
    parsed(svg)
    assert len(svg) < 200_000


@pytest.mark.parametrize("figure", TREND)
def test_a_trend_bears_checkpoints_without_figures(
    figure: Callable[[Sequence[TrendPoint], str | None], str],
) -> None:
    bare = TrendPoint("m.r.1", 1, None, None, None, None, None)
    nan = TrendPoint("m.r.2", 2, None, math.nan, math.inf, math.nan, None)
    assert "No checkpoint was measured yet" in texts(figure([bare, nan], None))
    parsed(figure([bare, *points(2)], None))


@pytest.mark.parametrize("figure", TREND)
def test_a_marker_at_the_edge_of_a_trend_is_whole(
    figure: Callable[[Sequence[TrendPoint], str | None], str],
) -> None:
    edges = [
        TrendPoint(f"m.run.{n}", n, wilson(n % 2 * 50, 50), 0.0, 0.0, 0.0, outcome)
        for n, outcome in enumerate((*Outcome, None, Outcome.PROMOTED))
    ]
    svg = figure(edges, "m.run.4")
    assert len(list(parsed(svg).iter(f"{SVG}use"))) >= len(edges)
    assert not clipped(svg, "use")


def clipped(svg: str, tag: str) -> list[ElementTree.Element]:
    """The elements that the figure cuts off at the edge of its plot."""
    groups = [group for group in parsed(svg).iter() if "clip-path" in group.attrib]
    return [found for group in groups for found in group.iter(f"{SVG}{tag}")]


def test_a_trend_has_room_below_nothing_and_above_all() -> None:
    points = [TrendPoint(f"m.run.{n}", n, wilson(50 * n, 50), 1, 1, 1, None) for n in (0, 1)]
    svg = trend.accuracy_trend(points)
    places = sorted(float(use.get("y", "nan")) for use in parsed(svg).iter(f"{SVG}use"))
    axis = [float(path.get("d", "").split()[2]) for path in bottom_lines(svg)]
    assert places[0] < places[-1] < max(axis) - 4


def bottom_lines(svg: str) -> list[ElementTree.Element]:
    """The straight horizontal lines of a figure: grid and axis."""
    lines = list(parsed(svg).iter(f"{SVG}path"))
    parts = [(path, path.get("d", "").split()) for path in lines]
    return [path for path, words in parts if len(words) == 6 and words[2] == words[5]]


def test_figures_are_the_same_bytes_each_time() -> None:
    assert figures.latency_cdf(rows(50), TARGETS) == figures.latency_cdf(rows(50), TARGETS)


def test_a_failed_request_is_in_flight_until_it_fails() -> None:
    lasting = figures.throughput_over_time([make_row(intended=0, latency=9, error="timeout")])
    assert "over 9 s" in (parsed(lasting).get("aria-label") or "")


def test_a_failed_request_is_never_within_any_time() -> None:
    failed = [make_row(intended=0, error="timeout")] * 3
    assert "No latency was measured" in texts(figures.latency_cdf(failed))


def test_without_rows_the_figure_says_so() -> None:
    assert texts(figures.throughput_over_time([])) == "No request was sent."


def test_colours_are_variables_so_that_the_page_can_turn_dark() -> None:
    svg = figures.latency_cdf(rows(50), TARGETS)
    assert "var(--main, " in svg
    assert "#0" not in svg.replace("#0072b2", "").replace("#009e73", "")


def test_ids_of_two_figures_differ() -> None:
    ids = [
        {node.get("id") for node in parsed(figure(rows(100))).iter() if node.get("id")}
        for figure in LOAD
    ]
    assert len(set.union(*ids)) == sum(map(len, ids))
    assert all(ids)


def test_every_reference_inside_a_figure_has_its_target() -> None:
    svg = figures.latency_cdf(rows(100), TARGETS)
    ids = {node.get("id") for node in parsed(svg).iter()}
    links = [node.get("{http://www.w3.org/1999/xlink}href", "") for node in parsed(svg).iter()]
    clips = [node.get("clip-path", "") for node in parsed(svg).iter()]
    used = {link.removeprefix("#") for link in links} | {clip[5:-1] for clip in clips}
    assert used - {""} <= ids


def test_units_follow_the_size_of_the_latencies() -> None:
    fast = [make_row(intended=0, latency=0.02)] * 4
    slow = [make_row(intended=0, latency=2.0)] * 4
    assert "latency (ms)" in texts(figures.latency_histogram(fast))
    assert "latency (s)" in texts(figures.latency_histogram(slow))


def test_a_bound_far_to_the_right_is_pointed_at() -> None:
    assert "target P99 ≤ 15 min 00 s →" in texts(figures.latency_cdf(rows(50), TARGETS))


def test_bounds_on_something_else_are_not_drawn() -> None:
    assert "target P95 ≤ 50 ms" in texts(figures.ttft_cdf(rows(50), TARGETS))
    assert "≤ 50 ms" not in texts(figures.latency_cdf(rows(50), TARGETS))


@pytest.mark.parametrize("minimum", [None, 0.0, 0.7, 1.0])
def test_quality_names_both_and_their_shares(minimum: float | None) -> None:
    compared = PairedComparison(
        champion="m.r.1", champion_accuracy=0.8, both=42, candidate_only=11, champion_only=6,
        neither=1, p_value=0.33,
    )  # fmt: skip
    svg = figures.quality_bars(report(compared), minimum)
    assert parsed(svg).get("aria-label") == "Accuracy: this checkpoint 88.3 %, champion 80 %"


def test_quality_without_champion_has_one_bar() -> None:
    assert "champion" not in figures.quality_bars(report())


@pytest.mark.parametrize(
    "stages",
    [{}, {"a": 0.0}, {"a": math.nan}, {"a": 1e-9, "b": 1e5}, {f"s{n}": 1.0 for n in range(99)}],
)
def test_a_waterfall_bears_any_stages(stages: dict[str, float]) -> None:
    parsed(figures.stage_waterfall(stages))


@pytest.mark.parametrize(
    "name",
    [
        "</text><script>alert(1)</script>",
        "$x^{2$",
        'font: 3px "',
        "\x00\x1b[31m",
        "日本語",
        "a" * 999,
    ],
)
def test_a_hostile_stage_name_stays_text(name: str) -> None:
    svg = figures.stage_waterfall({name: 1.0})
    assert "<script" not in svg
    assert plain(name)[:5] in texts(svg)


@pytest.mark.parametrize(
    "history",
    [
        [],
        [{}],
        [{"step": 1, "loss": "low"}, {"step": None, "loss": 1.0}],
        [{"step": 1, "loss": math.nan}],
        [{"step": 5, "loss": 2.0}],
        [{"step": n, "loss": 9 / (n + 1), "eval_loss": 1} for n in range(10_000)],
    ],
)
def test_a_loss_curve_bears_any_history(history: list[dict[str, object]]) -> None:
    svg = figures.training_loss(history, step=300)
    parsed(svg)
    assert len(svg) < 60_000


def test_thinning_keeps_first_and_last() -> None:
    kept = thinned(range(10_000), 400)
    assert (len(kept), kept[0], kept[-1]) == (400, 0, 9_999)


def test_the_run_of_a_trend_point_may_have_dots() -> None:
    point = TrendPoint("m.run.v1.2.300", 300, Interval(value=1, low=0, high=1), 1, 1, 1, None)
    assert point.run == "run.v1.2"
