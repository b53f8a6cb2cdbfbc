"""The picture of the latency that fits where Dagster's UI shows Markdown in place."""

import base64
import math
import random
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

import pytest

from cloud_assets.documents import TargetResult, Verdict
from cloud_assets.reports.thumbnail import (
    BOTTOM,
    BOUND,
    CURVE,
    INLINE_CHARACTERS,
    RIGHT,
    TOP,
    WIDTH,
    latency_picture,
)
from resources.load.rows import RequestRow
from tests.doubles.request_rows import make_row

SVG = "{http://www.w3.org/2000/svg}"


def target(metric: str, bound: float) -> TargetResult:
    return TargetResult(
        metric=metric, comparison="<=", bound=bound, unit="s", measured=None, verdict=Verdict.FAIL
    )


TARGETS = [
    target(f"latency_p{percentile}", bound)
    for percentile, bound in ((50, 0.1), (95, 0.2), (99, 0.3), (90, 900.0))
]


def drawn(rows: Sequence[RequestRow], targets: Sequence[TargetResult] = ()) -> ElementTree.Element:
    _, _, encoded = latency_picture(rows, targets).removesuffix(")").partition("base64,")
    return ElementTree.fromstring(base64.b64decode(encoded))


def texts(picture: ElementTree.Element) -> list[str]:
    return ["".join(each.itertext()) for each in picture.iter(f"{SVG}text")]


def paths(picture: ElementTree.Element, stroke: str) -> list[str]:
    return [
        each.get("d", "") for each in picture.iter(f"{SVG}path") if each.get("stroke") == stroke
    ]


def many(count: int, spread: float) -> list[RequestRow]:
    chance = random.Random(7)
    return [
        make_row(n, intended=n / 9, latency=chance.lognormvariate(-2, spread)) for n in range(count)
    ]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [make_row(intended=0, error="refused")] * 3,
        [make_row(intended=0, latency=math.nan)],
        [make_row(intended=0, phase="warmup")],
    ],
)
def test_without_an_answer_there_is_no_picture(rows: list[RequestRow]) -> None:
    assert latency_picture(rows, TARGETS) == ""


@pytest.mark.parametrize(
    "rows",
    [
        [make_row(intended=0, latency=0.0)] * 2,
        [make_row(intended=0, latency=1e-9)],
        [make_row(intended=0, latency=1e9), make_row(intended=0, latency=1e-9)],
        many(3, 1.0),
        many(400, 0.3),
        many(10_000, 2.0),
        [make_row(n, intended=0, latency=1 + n % 2 * 8) for n in range(500)],
    ],
)
def test_it_is_short_enough_to_be_shown_in_place(rows: list[RequestRow]) -> None:
    assert len(latency_picture(rows, TARGETS)) < INLINE_CHARACTERS
    assert drawn(rows, TARGETS).get("width") == str(WIDTH)


def test_failures_keep_the_curve_below_the_top() -> None:
    answered, failed = make_row(intended=0, latency=1), make_row(intended=0, error="timeout")
    [all_answered] = paths(drawn([answered] * 4), CURVE)
    [half_answered] = paths(drawn([answered, failed] * 2), CURVE)
    assert (height(all_answered), height(half_answered)) == (BOTTOM - TOP, (BOTTOM - TOP) / 2)


def height(curve: str) -> int:
    """How far the steps of a curve lead up; none of them leads down."""
    return sum(map(int, re.findall(r"l\d+[ -](\d+)", curve)))


def test_the_curve_ends_at_the_right_edge() -> None:
    [curve] = paths(drawn(many(50, 0.5)), CURVE)
    assert curve.endswith(f"H{RIGHT}")


def test_bounds_within_the_picture_are_dashed_lines() -> None:
    rows = [make_row(intended=0, latency=0.25)] * 4
    assert len(paths(drawn(rows, TARGETS[:2]), BOUND)) == 2
    assert paths(drawn(rows, [target("latency_p90", 900.0)]), BOUND) == []
    assert paths(drawn(rows, [target("ttft_p95", 0.1)]), BOUND) == []


def test_axes_say_share_and_time() -> None:
    found = texts(drawn([make_row(intended=0, latency=2.0)]))
    assert found == ["100%", "50%", "0", "1.05 s", "2.1 s"]
