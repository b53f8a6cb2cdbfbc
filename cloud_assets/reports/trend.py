"""The figures of a model's trend over its checkpoints; one small figure a measure.

Points stand in the order in which they are given, at even distances: steps of two runs overlap.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloud_assets.documents import Interval, Outcome
from cloud_assets.reports.svg import (
    BOUND,
    GOOD,
    MAIN,
    MUTED,
    drawing,
    finite,
    placeholder,
    plain,
    render,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 200
#: From so many points on they would run into one another.
CROWD = 60
#: Marker, colour and size of what is held or not decided yet; drawn hollow.
OPEN = ("o", MAIN, 6.0)


@dataclass(frozen=True)
class TrendPoint:
    """What was measured of one checkpoint; seconds, requests a second, None where nothing was."""

    key: str
    step: int
    accuracy: Interval | None
    latency_p95: float | None
    ttft_p95: float | None
    throughput: float | None
    outcome: Outcome | None

    @property
    def run(self) -> str:
        """The training run, from the key."""
        return self.key.rpartition(".")[0].partition(".")[2]


Measure = Callable[[TrendPoint], float | None]


def accuracy_trend(points: Sequence[TrendPoint], champion: str | None = None) -> str:
    """Accuracy in per cent with 95 % intervals."""

    def value(point: TrendPoint) -> float | None:
        return None if point.accuracy is None else 100 * point.accuracy.value

    def intervals(axes: "Axes", drawn: Sequence[TrendPoint]) -> None:
        for place, point in enumerate(drawn):
            if point.accuracy is not None:
                ends = [100 * point.accuracy.low, 100 * point.accuracy.high]
                axes.plot([place, place], ends, color=MUTED, lw=1.4, zorder=1)
        # Room for a whole marker at nothing right and at all right.
        axes.set_ylim(-5, 105)
        axes.set_yticks([0, 25, 50, 75, 100])

    return _trend(points, champion, value, "right answers (%)", intervals)


def latency_trend(points: Sequence[TrendPoint], champion: str | None = None) -> str:
    """95th percentile of the latency in milliseconds."""
    return _trend(points, champion, lambda point: _ms(point.latency_p95), "latency P95 (ms)")


def ttft_trend(points: Sequence[TrendPoint], champion: str | None = None) -> str:
    """95th percentile of the time to the first token in milliseconds."""
    return _trend(points, champion, lambda point: _ms(point.ttft_p95), "first token P95 (ms)")


def throughput_trend(points: Sequence[TrendPoint], champion: str | None = None) -> str:
    """Answers a second; it follows the offered rate until the server is saturated."""
    return _trend(points, champion, lambda point: point.throughput, "answers a second")


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def _trend(
    points: Sequence[TrendPoint],
    champion: str | None,
    measure: Measure,
    label: str,
    extra: Callable[["Axes", Sequence[TrendPoint]], None] | None = None,
) -> str:
    drawn = points[-MOST:]
    if not any(finite(measure(point)) for point in drawn):
        return placeholder(f"No checkpoint was measured yet: {label}.")
    every = math.ceil(len(drawn) / 9)
    with drawing(210) as figure:
        axes = figure.add_subplot()
        for run in dict.fromkeys(point.run for point in drawn):
            _draw_run(axes, drawn, run, measure)
        for place, point in enumerate(drawn):
            if finite(value := measure(point)):
                _draw_point(axes, place, value, _form(point, champion), len(drawn))
        highest = axes.get_ylim()[1]
        axes.set_ylim(-0.05 * highest, highest * 1.08)
        if extra is not None:
            extra(axes, drawn)
        # The newest is always named.
        places = range((len(drawn) - 1) % every, len(drawn), every)
        axes.set_xticks(places, [plain(str(drawn[place].step), 8) for place in places])
        axes.set_xlim(-0.6, len(drawn) - 0.4)
        axes.set_title(label)
        axes.set_xlabel("step of the checkpoint")
        axes.grid(visible=False, axis="x")
        return render(figure, f"Trend over {len(drawn)} checkpoints: {label}")


def _draw_run(axes: "Axes", drawn: Sequence[TrendPoint], run: str, measure: Measure) -> None:
    line = [
        (place, value)
        for place, point in enumerate(drawn)
        if point.run == run and finite(value := measure(point))
    ]
    if line:
        axes.plot(*zip(*line, strict=True), color=MUTED, lw=1.2, alpha=0.6, zorder=1)


def _draw_point(
    axes: "Axes", place: int, value: float, form: tuple[str, str, float], crowd: int
) -> None:
    """Whole at the edge of the figure too, and smaller in a crowd."""
    marker, color, size = form
    hollow = form == OPEN
    axes.plot(
        [place], [value], marker, color=color, ms=size * (0.6 if crowd > CROWD else 1.0),
        mfc="none" if hollow else color, mew=1.5 if hollow else 1.0, clip_on=False, zorder=3,
    )  # fmt: skip


def _form(point: TrendPoint, champion: str | None) -> tuple[str, str, float]:
    """Told apart by form as well as by colour, as the page's legend has them."""
    if point.key == champion:
        return "D", GOOD, 9.0
    if point.outcome is Outcome.REJECTED:
        return "X", BOUND, 8.0
    if point.outcome is Outcome.PROMOTED:
        return "o", MAIN, 7.0
    return OPEN
