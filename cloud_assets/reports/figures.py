"""The figures of one checkpoint's page: load test, quality, stages, training.

The trend over checkpoints is `trend`'s business, style and SVG are `svg`'s. Every figure works for
no rows, one, and tens of thousands. Times are in seconds since the load test began.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from cloud_assets.documents import Interval, PairedComparison, QualityReport, TargetResult
from cloud_assets.reports.svg import (
    BOUND,
    INK,
    MAIN,
    MUTED,
    OTHER,
    PAGE,
    SHADE,
    drawing,
    finite,
    placeholder,
    plain,
    render,
    thinned,
)
from cloud_assets.reports.units import duration, share, significant
from cloud_assets.wilson import wilson
from resources.load.rows import RequestRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEADY = "steady"
WARMUP = "warmup"
COOLDOWN = "cooldown"


@dataclass(frozen=True)
class Bound:
    """An upper bound on a percentile (0 to 100) of a latency, in seconds."""

    percentile: float
    seconds: float


def latency_histogram(rows: Sequence[RequestRow], targets: Sequence[TargetResult] = ()) -> str:
    """How many of the steady window's answers took how long, with the bounds on the latency."""
    values, _ = steady_times(rows, "latency")
    if not values:
        return placeholder("No request of the steady window was answered.")
    from matplotlib.ticker import MaxNLocator

    unit, factor = _time_unit(values)
    scaled = [value * factor for value in values]
    with drawing() as figure:
        axes = figure.add_subplot()
        right = max(scaled) * 1.05 or 1.0
        axes.hist(scaled, bins=min(50, max(8, len(scaled) // 4)), range=(0, right), color=MAIN)
        axes.set_xlim(0, right)
        _draw_bounds(axes, bounds_on(targets, "latency"), factor)
        axes.set_xlabel(f"latency ({unit})")
        axes.set_ylabel("requests")
        axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
        axes.grid(visible=False, axis="x")
        return render(figure, f"Histogram of the latency of {len(values)} answered requests")


def latency_cdf(rows: Sequence[RequestRow], targets: Sequence[TargetResult] = ()) -> str:
    """The share of requests answered within a time; failures never are, so it may end below 1."""
    return _cdf(rows, targets, "latency", "latency")


def ttft_cdf(rows: Sequence[RequestRow], targets: Sequence[TargetResult] = ()) -> str:
    """The share of requests whose first token came within a time."""
    return _cdf(rows, targets, "ttft", "time to first token")


def throughput_over_time(rows: Sequence[RequestRow]) -> str:
    """Answers a second and requests in flight over the test, warm-up and cool-down shaded."""
    spans = [
        (row.intended, row.end, row.ok) for row in rows if finite(row.intended) and finite(row.end)
    ]
    if not spans:
        return placeholder("No request was sent.")
    from matplotlib.ticker import MaxNLocator

    end = max(max(stop for _, stop, _ in spans), 1e-3)
    width = max(1.0, end / 60) if end >= 4 else end / 4
    edges = [width * place for place in range(int(end / width) + 2)]
    stops = sorted(stop for _, stop, ok in spans if ok)
    counts = [bisect_right(stops, high) - bisect_right(stops, low) for low, high in pairwise(edges)]
    grid = [end * place / 300 for place in range(301)]
    with drawing(280) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True)
        upper.stairs([count / width for count in counts], edges, fill=True, color=MAIN, alpha=0.85)
        upper.set_title("answers a second", color=INK)
        lower.plot(grid, _in_flight(spans, grid), color=OTHER)
        lower.set_title("requests in flight", color=INK)
        lower.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        lower.set_xlabel("time since the start (s)")
        for axes in (upper, lower):
            _shade_phases(axes, rows, end)
            axes.set_xlim(0, end)
            axes.set_ylim(bottom=0)
            axes.grid(visible=False, axis="x")
        return render(figure, f"Throughput and requests in flight over {duration(end)}")


def quality_bars(report: QualityReport, minimum_accuracy: float | None = None) -> str:
    """The accuracy of candidate and champion with 95 % intervals, and the least that passes."""
    bars = [("this checkpoint", report.accuracy, MAIN)]
    if report.comparison is not None:
        bars.append(("champion", _champion_interval(report.comparison), OTHER))
    with drawing(70 + 44 * len(bars)) as figure:
        axes = figure.add_subplot()
        for place, (_, interval, color) in enumerate(bars):
            # Pale enough that the interval is seen on the bar, on a dark page too.
            axes.barh(place, 100 * interval.value, height=0.5, color=color, alpha=0.55)
            low, high = 100 * interval.low, 100 * interval.high
            for x, y in (
                ((low, high), (place, place)),
                ((low, low), (place - 0.11, place + 0.11)),
                ((high, high), (place - 0.11, place + 0.11)),
            ):
                axes.plot(x, y, color=INK, lw=1.4, clip_on=False)
        axes.set_yticks(range(len(bars)), [name for name, _, _ in bars])
        axes.set_ylim(len(bars) - 0.5, -0.6)
        axes.set_xlim(0, 100)
        axes.set_xlabel("right answers (%), with 95 % interval")
        axes.grid(visible=False, axis="y")
        if minimum_accuracy:
            least = 100 * minimum_accuracy
            axes.axvline(least, color=BOUND, lw=1.4, ls=(0, (4, 3)), clip_on=False)
        shares = ", ".join(f"{name} {share(interval.value)}" for name, interval, _ in bars)
        return render(figure, f"Accuracy: {shares}")


def stage_waterfall(stages: Mapping[str, float]) -> str:
    """The stages one after the other, each as long as it took."""
    known = [(plain(name), seconds) for name, seconds in stages.items() if finite(seconds)][:40]
    if not known:
        return placeholder("No stage was timed.")
    total = sum(seconds for _, seconds in known)
    with drawing(56 + 26 * len(known)) as figure:
        axes = figure.add_subplot()
        start = 0.0
        for place, (_, seconds) in enumerate(known):
            axes.barh(place, seconds, left=start, height=0.6, color=MAIN)
            start += seconds
            axes.annotate(duration(seconds), (start, place), xytext=(6, 0), va="center",
                          textcoords="offset points", fontsize=10.5)  # fmt: skip
        axes.set_yticks(range(len(known)), [name for name, _ in known])
        axes.set_ylim(len(known) - 0.5, -0.5)
        # Room for the label behind the last bar.
        axes.set_xlim(0, total * 1.32 or 1.0)
        axes.set_xlabel("seconds since the checkpoint was taken")
        axes.grid(visible=False, axis="y")
        return render(figure, f"{len(known)} stages, {duration(total)} in all")


def training_loss(log_history: Sequence[Mapping[str, object]], step: int | None = None) -> str:
    """Training and evaluation loss over the steps of the HF Trainer's `log_history`."""
    curves = [
        (name, color, points)
        for name, color in (("loss", MAIN), ("eval_loss", OTHER))
        if (points := _curve(log_history, name))
    ]
    if not curves:
        return placeholder("The trainer left no losses behind.")
    with drawing() as figure:
        axes = figure.add_subplot()
        for name, color, points in curves:
            marker = "o" if len(points) < 30 else ""
            label = "training" if name == "loss" else "evaluation"
            axes.plot(*zip(*points, strict=True), color=color, marker=marker, ms=4, label=label)
        if step is not None:
            axes.axvline(step, color=MUTED, lw=1.2, ls=(0, (4, 3)), label="this checkpoint")
        axes.set_xlabel("training step")
        axes.set_ylabel("loss")
        axes.legend()
        last = curves[0][2][-1]
        return render(figure, f"Loss over {len(curves[0][2])} logs, at last {significant(last[1])}")


def _curve(log_history: Sequence[Mapping[str, object]], name: str) -> list[tuple[float, float]]:
    points = [
        (float(step), float(value))
        for entry in log_history
        if isinstance(step := entry.get("step"), int | float)
        and isinstance(value := entry.get(name), int | float)
        and finite(step)
        and finite(value)
    ]
    return [points[place] for place in thinned(points)]


def steady_times(rows: Sequence[RequestRow], measure: str) -> tuple[list[float], int]:
    """The answered requests' times in order, and how many were sent in the steady window."""
    steady = [row for row in rows if row.phase == STEADY]
    times = [getattr(row, measure) for row in steady if row.ok]
    return sorted(value for value in times if finite(value)), len(steady)


def _cdf(
    rows: Sequence[RequestRow], targets: Sequence[TargetResult], measure: str, name: str
) -> str:
    values, sent = steady_times(rows, measure)
    if not values:
        return placeholder(f"No {name} was measured in the steady window.")
    unit, factor = _time_unit(values)
    places = thinned(values)
    times = [0.0] + [values[place] * factor for place in places]
    shares = [0.0] + [100 * (place + 1) / sent for place in places]
    with drawing() as figure:
        axes = figure.add_subplot()
        right = max(times) * 1.05 or 1.0
        axes.step([*times, right], [*shares, shares[-1]], where="post", color=MAIN)
        axes.set_xlim(0, right)
        axes.set_ylim(0, 104)
        axes.set_yticks([0, 25, 50, 75, 100])
        _draw_bounds(axes, bounds_on(targets, measure), factor, on_curve=True)
        axes.set_xlabel(f"{name} ({unit})")
        axes.set_ylabel("requests within (%)")
        return render(figure, f"Cumulative distribution of the {name} of {sent} requests")


def bounds_on(targets: Sequence[TargetResult], measure: str) -> list[Bound]:
    """The upper bounds on `measure`, from metrics that read like `latency_p95`."""
    found = []
    for target in targets:
        name, _, percentile = target.metric.rpartition("_p")
        if name == measure and percentile.isdecimal() and target.comparison == "<=":
            found.append(Bound(float(percentile), target.bound))
    return found


def _draw_bounds(
    axes: "Axes", bounds: Sequence[Bound], factor: float, *, on_curve: bool = False
) -> None:
    """Each bound as a dashed line; where it lies far off to the right, an arrow points there."""
    right = axes.get_xlim()[1]
    near = [bound for bound in bounds if bound.seconds * factor <= 2 * right]
    axes.set_xlim(0, max([right, *(bound.seconds * factor * 1.06 for bound in near)]))
    for place, bound in enumerate(bounds):
        at, label = bound.seconds * factor, f"P{bound.percentile:g} ≤ {duration(bound.seconds)}"
        height = (0.2 if on_curve else 0.86) - 0.1 * place
        if bound not in near:
            axes.text(0.985, height, f"target {label} →", color=BOUND, ha="right", fontsize=10.5,
                      transform=axes.transAxes)  # fmt: skip
            continue
        late = at > 0.6 * axes.get_xlim()[1]
        axes.axvline(at, color=BOUND, lw=1.4, ls=(0, (4, 3)))
        if on_curve:
            axes.plot([at], [bound.percentile], "D", color=BOUND, ms=6)
        axes.annotate(f"target {label}", (at, height), xycoords=("data", "axes fraction"),
                      xytext=(-6 if late else 6, 0), textcoords="offset points",
                      ha="right" if late else "left", color=BOUND, fontsize=10.5,
                      # Another bound's line may run behind it.
                      bbox={"facecolor": PAGE, "edgecolor": "none", "pad": 1.5})  # fmt: skip


def _shade_phases(axes: "Axes", rows: Sequence[RequestRow], end: float) -> None:
    steady = [row.intended for row in rows if row.phase == STEADY]
    cooldown = [row.intended for row in rows if row.phase == COOLDOWN]
    if any(row.phase == WARMUP for row in rows):
        axes.axvspan(0, min(steady, default=end), color=SHADE, alpha=0.25, lw=0)
    if cooldown:
        axes.axvspan(min(cooldown), end, color=SHADE, alpha=0.25, lw=0)


def _in_flight(spans: Sequence[tuple[float, float, bool]], grid: Sequence[float]) -> list[int]:
    starts, stops = sorted(start for start, _, _ in spans), sorted(stop for _, stop, _ in spans)
    return [bisect_right(starts, time) - bisect_right(stops, time) for time in grid]


def _champion_interval(comparison: PairedComparison) -> Interval:
    right = comparison.both + comparison.champion_only
    return wilson(right, right + comparison.candidate_only + comparison.neither)


def _time_unit(values: Sequence[float]) -> tuple[str, float]:
    return ("ms", 1000.0) if max(values) < 1 else ("s", 1.0)
