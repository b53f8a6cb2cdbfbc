"""Accuracy, the comparison with the champion, and the gate."""

import math
import random
import threading
from collections.abc import Sequence

import pytest
from scipy.stats import binomtest

from cloud_assets.documents import ItemResult, QualityReport
from cloud_assets.evaluation.quality import (
    compare,
    mcnemar,
    measure,
    quality_report,
    verdict,
)
from cloud_assets.evaluation.suite import Judge, Suite, SuiteItem
from cloud_assets.wilson import wilson
from resources.errors import PermanentError, TransientError


def suite(count: int) -> Suite:
    items = tuple(SuiteItem(f"q{n}", f"{n}?", (str(n),), Judge.EXACT) for n in range(count))
    return Suite("numbers.jsonl", "ab" * 32, items)


def results(passed: Sequence[bool]) -> list[ItemResult]:
    return [
        ItemResult(item=f"q{n}", prompt=f"{n}?", expected=str(n), answer="", passed=right)
        for n, right in enumerate(passed)
    ]


def report(
    right: int, total: int, *, key: str = "m.r.2", champion: QualityReport | None = None
) -> QualityReport:
    asked = suite(total)

    def ask(item: SuiteItem) -> str:
        return item.expected[0] if int(item.id[1:]) < right else "no"

    return quality_report(asked, measure(asked, ask), key=key, digest="d", champion=champion)


def test_an_endpoint_that_stays_away_is_no_wrong_answer() -> None:
    def ask(item: SuiteItem) -> str:
        if item.id == "q5":
            raise TransientError("the endpoint", "complete", "503")
        return "0"

    with pytest.raises(TransientError, match=r"ask item `q5`: the endpoint could not complete"):
        measure(suite(9), ask)


def test_a_refused_item_keeps_its_kind_and_hint() -> None:
    def ask(item: SuiteItem) -> str:
        raise PermanentError("the endpoint", "complete", "too long", hint="shorten it")

    with pytest.raises(PermanentError) as caught:
        measure(suite(1), ask)
    assert caught.value.hint == "shorten it"


def test_what_has_not_begun_is_not_asked_after_a_failure() -> None:
    asked: list[str] = []

    def ask(item: SuiteItem) -> str:
        asked.append(item.id)
        raise TransientError("the endpoint", "complete", "503")

    with pytest.raises(TransientError):
        measure(suite(5000), ask, workers=1)
    assert len(asked) < 5000


def test_items_are_asked_together_and_come_back_in_the_order_of_the_suite() -> None:
    together = threading.Barrier(4, timeout=30)

    def ask(item: SuiteItem) -> str:
        together.wait()
        return item.expected[0]

    measured = measure(suite(8), ask, workers=4)
    assert [item.item for item in measured.items] == [f"q{n}" for n in range(8)]


def test_an_item_keeps_what_was_asked_expected_and_answered() -> None:
    asked = Suite("s", "ab", (SuiteItem("a", "capital?", ("Rome", "Roma"), Judge.EXACT),))
    (item,) = measure(asked, lambda _: "Oslo").items
    assert item == ItemResult(
        item="a", prompt="capital?", expected="Rome | Roma", answer="Oslo", passed=False
    )


@pytest.mark.parametrize(("right", "total"), [(0, 1), (1, 1), (0, 60), (60, 60), (53, 60), (3, 7)])
def test_the_interval_is_scipys(right: int, total: int) -> None:
    expected = binomtest(right, total).proportion_ci(method="wilson")
    interval = wilson(right, total)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_of_nothing_asked_nothing_is_known() -> None:
    interval = wilson(0, 0)
    assert (interval.low, interval.high) == (0.0, 1.0)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_interval_covers_the_truth_nineteen_times_in_twenty(share: float) -> None:
    chance, trials, rounds = random.Random(7), 60, 4000
    covered = 0
    for _ in range(rounds):
        interval = wilson(sum(chance.random() < share for _ in range(trials)), trials)
        covered += interval.low <= share <= interval.high
    assert covered / rounds == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        (0, 0, 1.0),
        (0, 1, 1.0),
        (3, 3, 1.0),
        (0, 5, 2 / 32),
        (0, 6, 2 / 64),
        (1, 9, 2 * 11 / 1024),
        (9, 1, 2 * 11 / 1024),
    ],
)
def test_mcnemars_p_is_the_one_worked_out_by_hand(first: int, second: int, p: float) -> None:
    assert mcnemar(first, second) == p


def test_mcnemars_p_of_many_pairs_is_scipys() -> None:
    assert mcnemar(900, 1100) == pytest.approx(binomtest(900, 2000).pvalue, rel=1e-9)
    assert math.isfinite(mcnemar(5000, 5100))


def test_a_comparison_counts_the_pairs() -> None:
    candidate = results([True, True, False, False, False])
    before = results([True, False, True, True, False])
    compared = compare(candidate, before, champion="m.r.1")
    assert compared is not None
    assert (compared.both, compared.candidate_only, compared.champion_only, compared.neither) == (
        1, 1, 2, 1,
    )  # fmt: skip
    assert compared.champion_accuracy == 3 / 5
    assert compared.p_value == 1.0


def test_an_item_whose_question_changed_is_not_paired() -> None:
    before = [
        item.model_copy(update={"prompt": "other"}) if item.item == "q0" else item
        for item in results([True, True])
    ]
    compared = compare(results([True, True]), before, champion="m.r.1")
    assert compared is not None
    assert compared.both == 1


def test_without_a_common_item_nothing_is_compared() -> None:
    assert compare(results([True]), [], champion="m.r.1") is None


def test_a_champion_is_not_compared_with_itself() -> None:
    first = report(3, 4)
    assert report(3, 4, champion=first).comparison is None


def test_accuracy_below_the_minimum_fails_with_the_figures() -> None:
    passed, reasons = verdict(report(42, 60), minimum_accuracy=0.8, significance=0.05)
    assert not passed
    assert reasons == (
        "42 of 60 right (70 %, 95 % interval 57.5–80.1 %), below the minimum of 80 %",
    )


def test_the_estimate_decides_and_not_the_lower_bound() -> None:
    assert verdict(report(42, 60), minimum_accuracy=0.7, significance=0.05).passed


def test_significantly_worse_than_the_champion_fails_with_the_figures() -> None:
    champion = report(58, 60, key="m.r.1")
    passed, reasons = verdict(
        report(42, 60, champion=champion), minimum_accuracy=0.0, significance=0.05
    )
    assert not passed
    assert reasons[1] == (
        "significantly worse than the champion: 42 of 60 right, the champion m.r.1 58 of 60; "
        "p < 0.0001"
    )


def test_behind_the_champion_within_chance_passes_and_says_so() -> None:
    champion = report(45, 60, key="m.r.1")
    passed, reasons = verdict(
        report(42, 60, champion=champion), minimum_accuracy=0.0, significance=0.05
    )
    assert passed
    assert reasons[1].startswith("behind the champion, but within chance: 42 of 60")
    assert reasons[1].endswith("p = 0.25")


def test_significantly_better_than_the_champion_passes() -> None:
    champion = report(42, 60, key="m.r.1")
    assert verdict(
        report(58, 60, champion=champion), minimum_accuracy=0.0, significance=0.05
    ).passed


def test_a_report_without_items_never_passes() -> None:
    assert not verdict(report(0, 0), minimum_accuracy=0.0, significance=0.05).passed
