"""The latency of a load test as a picture of some hundred bytes, for where a page is too much.

Dagster's UI draws Markdown in place as long as it has less than 1000 characters, and hides it
behind a click otherwise. The whole figure, with its axes, is in `figures`.
"""

import base64
from collections.abc import Sequence
from itertools import pairwise

from cloud_assets.documents import TargetResult
from cloud_assets.reports.figures import bounds_on, steady_times
from cloud_assets.reports.svg import finite
from cloud_assets.reports.units import duration
from resources.load.rows import RequestRow

#: Shorter than this, Markdown is shown in place.
INLINE_CHARACTERS = 1000
WIDTH, HEIGHT = 360, 116
#: Seen on white and on black: the picture cannot ask which page it is on.
CURVE, BOUND = "#2b8ccf", "#e0702a"
LEFT, TOP, RIGHT, BOTTOM = 34, 6, 350, 96
#: How many points the curve may have; the most that fit are taken.
POINTS = (40, 30, 20, 10)
BOUNDS_DRAWN = 2


def latency_picture(rows: Sequence[RequestRow], targets: Sequence[TargetResult] = ()) -> str:
    """Markdown of a picture: the share of requests answered within a time, and the targets' bounds.

    Empty where no request of the steady window was answered. Failures are never within.
    """
    times, sent = steady_times(rows, "latency")
    if not times:
        return ""
    bounds = [bound.seconds for bound in bounds_on(targets, "latency") if finite(bound.seconds)]
    near = [seconds for seconds in bounds if seconds <= 2 * times[-1]][:BOUNDS_DRAWN]
    end = max([times[-1], *near]) * 1.05 or 1.0
    dashed = "".join(_bound(seconds / end) for seconds in near)
    drawn = (_markdown(_curve(times, sent, end, points) + dashed, end) for points in POINTS)
    return next(text for text in drawn if len(text) < INLINE_CHARACTERS)


def _markdown(lines: str, end: float) -> str:
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" fill="none" '
        f'font-family="sans-serif" font-size="11"><path stroke="#9995" d="{_grid()}"/>'
        f'{lines}<g fill="#888">{_labels(end)}</g></svg>'
    )
    return f"![latency](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _grid() -> str:
    width = RIGHT - LEFT
    return "".join(f"M{LEFT} {y}h{width}" for y in (TOP, (TOP + BOTTOM) // 2, BOTTOM))


def _curve(times: Sequence[float], sent: int, end: float, count: int) -> str:
    """A line in whole pixels, each point told by its distance from the one before."""
    last = len(times) - 1
    places = [0, *(round(point * last / count) for point in range(count + 1))]
    shares = [0.0, *((place + 1) / sent for place in places[1:])]
    points = [
        (_x(times[place] / end), round(BOTTOM - share * (BOTTOM - TOP)))
        for place, share in zip(places, shares, strict=True)
    ]
    steps = "".join(f"l{x - a} {y - b}" for (a, b), (x, y) in pairwise(points) if (x, y) != (a, b))
    path = f"M{points[0][0]} {points[0][1]}{steps}H{RIGHT}".replace(" -", "-")
    return f'<path stroke="{CURVE}" stroke-width="2" d="{path}"/>'


def _bound(share: float) -> str:
    return f'<path stroke="{BOUND}" stroke-dasharray="4" d="M{_x(share)} {TOP}V{BOTTOM}"/>'


def _labels(end: float) -> str:
    half, below = (TOP + BOTTOM) // 2, HEIGHT - 5
    return (
        f'<text y="{TOP + 4}">100%</text><text y="{half + 4}">50%</text>'
        f'<text y="{BOTTOM + 4}">0</text>'
        f'<text x="{_x(0.5)}" y="{below}" text-anchor="middle">{duration(end / 2)}</text>'
        f'<text x="{_x(1)}" y="{below}" text-anchor="end">{duration(end)}</text>'
    )


def _x(share: float) -> int:
    return round(LEFT + share * (RIGHT - LEFT))
