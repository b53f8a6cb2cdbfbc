"""Pages of checkpoints and models: whole, safe, readable."""

import math
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from cloud_assets.documents import (
    BenchmarkReport,
    Decision,
    Interval,
    ItemResult,
    Manifest,
    Outcome,
    PairedComparison,
    Percentiles,
    PublishedFile,
    QualityReport,
    TargetResult,
    Verdict,
)
from cloud_assets.reports.page import CheckpointRecord, checkpoint_page, trend_page
from cloud_assets.reports.rendering import shown
from cloud_assets.reports.trend import TrendPoint
from cloud_assets.reports.units import between, duration, probability, quantity, share, size
from cloud_assets.settings import Profile
from cloud_assets.wilson import wilson
from tests.doubles.request_rows import make_row

HOSTILE = (
    '</td></p><script>alert(1)</script><img src=http://x/y onerror="a"\'{{ 7*7 }}\x00\x1b\u202e'
)
WHEN = datetime(2026, 2, 3, 14, 5, 9, tzinfo=UTC)
VOID = {"meta", "link", "img", "br", "hr", "input", "base"}
KEY = "m.run.300"


class Outline(HTMLParser):
    """Which tags and attributes a page really has, and whether every tag is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def manifest(text: str = "x") -> Manifest:
    return Manifest(
        key=KEY, model="m", run="run", step=300, layout=text, fingerprint=text,
        source=f"/runs/{text}", prefix=text, digest=text, base_model=text, finished_at=WHEN,
        written_at=WHEN,
        files=(PublishedFile(name=text, size=1_318_242_104, sha256=text),),
    )  # fmt: skip


def quality(text: str = "x", wrong: int = 2) -> QualityReport:
    items = tuple(
        ItemResult(item=f"{text}{n}", prompt=text, expected=text, answer=text, passed=False)
        for n in range(wrong)
    )
    compared = PairedComparison(
        champion=text, champion_accuracy=0.9, both=0, candidate_only=0, champion_only=1, neither=1,
        p_value=1.0,
    )  # fmt: skip
    return QualityReport(
        key=KEY, digest="d", suite=text, suite_sha256=text, items=items, seconds=2.41,
        accuracy=wilson(0, wrong), comparison=compared, measured_at=WHEN,
    )  # fmt: skip


def benchmark(text: str = "x", *, value: float | None = 0.1) -> BenchmarkReport:
    times = Percentiles(p50=value, p90=value, p95=value, p99=value, maximum=value)
    targets = tuple(
        TargetResult(
            metric="latency_p95", comparison="<=", bound=0.5, unit="s", verdict=verdict,
            measured=None if value is None else Interval(value=value, low=0.05, high=math.inf),
        )
        for verdict in Verdict
    )  # fmt: skip
    return BenchmarkReport(
        key=KEY, digest="d", profile=text, requests=0 if value is None else 492, failures=0,
        duration_seconds=57.6, offered_rate=8, throughput=8.53, output_tokens_per_second=136,
        goodput=8, attainment=None, latency=times, ttft=times, inter_token=times,
        send_lag_p99=0.001, client_cpu=0.13, targets=targets, verdict=Verdict.INVALID,
        invalid=(text,), rows=text, measured_at=WHEN,
    )  # fmt: skip


def decision(text: str = "x", outcome: Outcome = Outcome.REJECTED) -> Decision:
    return Decision(
        key=KEY, outcome=outcome, reasons=(text,), fix=text, previous=text, requested_by=text
    )


def record(text: str = "x") -> CheckpointRecord:
    rows = [make_row(n, intended=n / 5, latency=0.1) for n in range(20)]
    return CheckpointRecord(
        manifest(text), quality(text), benchmark(text), decision(text), {text: 1.0}, rows,
        [{"step": 1, "loss": 2.0, text: text}], Profile(name=text), 0.7,
    )  # fmt: skip


def trend_points(text: str = "m.r") -> list[TrendPoint]:
    return [
        TrendPoint(f"{text}.{n}", n, wilson(n, 9), 0.2, None, 7.5, outcome)
        for n, outcome in enumerate((Outcome.PROMOTED, Outcome.REJECTED, Outcome.HELD, None))
    ]


PAGES = {
    "full": lambda: checkpoint_page(record()),
    "hostile": lambda: checkpoint_page(record(HOSTILE)),
    "bare": lambda: checkpoint_page(CheckpointRecord(manifest())),
    "trend": lambda: trend_page("m", trend_points(), champion="m.r.0"),
    "hostile trend": lambda: trend_page(HOSTILE, trend_points(HOSTILE), champion=HOSTILE),
    "empty trend": lambda: trend_page("m", []),
}


@pytest.fixture(scope="module", params=PAGES)
def page(request: pytest.FixtureRequest) -> str:
    return PAGES[request.param]()


def test_no_markup_comes_from_outside(page: str) -> None:
    outline = Outline(page)
    assert not outline.tags & {"script", "img", "iframe", "link", "object", "embed", "form", "base"}
    assert not [name for name, _ in outline.attributes if name.startswith("on")]


def test_nothing_outside_the_page_is_referred_to(page: str) -> None:
    for name, value in Outline(page).attributes:
        if name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
            assert value.startswith("#")
        elif not name.startswith("xmlns"):
            assert "url(" not in value.replace("url(#", "")
            assert "@import" not in value


def test_the_page_forbids_itself_to_load_anything(page: str) -> None:
    policies = [value for name, value in Outline(page).attributes if name == "content"]
    assert any(value.startswith("default-src 'none'; style-src") for value in policies)


def test_every_tag_is_closed_in_order(page: str) -> None:
    assert Outline(page).open == []


def test_every_id_stands_once(page: str) -> None:
    ids = Outline(page).ids
    assert len(ids) == len(set(ids))


def test_no_control_or_direction_characters_are_left(page: str) -> None:
    assert not set(page) & set("\x00\x1b\u202e")


def test_the_page_can_be_written_as_utf8(page: str) -> None:
    assert page.startswith("<!doctype html>")
    page.encode("utf-8")


def test_hostile_text_is_shown_and_not_interpreted() -> None:
    text = Outline(checkpoint_page(record(HOSTILE))).text
    assert text.count("<script>alert(1)</script>") > 15
    assert "{{ 7*7 }}" in text
    assert "␀␛�" in text


def test_the_same_record_gives_the_same_bytes() -> None:
    assert checkpoint_page(record()) == checkpoint_page(record())


@pytest.mark.parametrize("outcome", Outcome)
def test_the_outcome_stands_in_the_title(outcome: Outcome) -> None:
    page = checkpoint_page(CheckpointRecord(manifest(), decision=decision(outcome=outcome)))
    assert f"<title>{KEY} – {outcome}</title>" in page


def test_reasons_and_fix_stand_at_the_top() -> None:
    text = Outline(checkpoint_page(record())).text
    assert text.index("What would mend it:") < text.index("Quality")


def test_what_was_not_measured_is_said() -> None:
    text = Outline(checkpoint_page(CheckpointRecord(manifest()))).text
    assert "No release has decided about this checkpoint yet." in text
    assert "The quality of this checkpoint was not measured." in text
    assert "This checkpoint was not load-tested." in text


def test_targets_stand_with_bound_interval_and_verdict() -> None:
    text = Outline(checkpoint_page(record())).text
    assert "latency, P95≤ 500 ms100 ms50 ms – ∞✓ pass" in text


def test_an_invalid_run_gives_its_reasons() -> None:
    page = checkpoint_page(CheckpointRecord(manifest(), benchmark=benchmark("the client lagged")))
    assert "the client lagged" in page


def test_a_load_test_without_requests_has_no_figures_to_show() -> None:
    page = checkpoint_page(CheckpointRecord(manifest(), benchmark=benchmark(value=None)))
    assert "0 of 0 requests" in page


def test_many_failing_items_are_cut_with_their_number() -> None:
    page = checkpoint_page(CheckpointRecord(manifest(), quality=quality(wrong=5_000)))
    assert "4900 more are in the report" in page
    assert len(page) < 150_000


def test_a_trend_marks_champion_rejected_and_held() -> None:
    text = Outline(trend_page("m", trend_points(), champion="m.r.0")).text
    table = text[text.index("Newest first") :]
    assert [table.count(word) for word in ("champion", "rejected", "held", "undecided")] == [1] * 4


def test_a_trend_lists_the_newest_first() -> None:
    text = Outline(trend_page("m", trend_points())).text
    table = text[text.index("Newest first") :]
    assert table.index("m.r.3") < table.index("m.r.0")


def test_a_trend_of_ten_thousand_stays_readable() -> None:
    points = [TrendPoint(f"m.r.{n}", n, wilson(5, 9), 0.2, 0.1, 7, None) for n in range(10_000)]
    page = trend_page("m", points)
    assert "10,000 checkpoints measured" in page
    assert len(page) < 1_500_000


def test_long_text_is_cut_and_says_how_long_it_was() -> None:
    assert shown("é" * 1_000, 3) == "ééé … (1,000 characters)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.0000004, "0 ms"),
        (0.0123, "12.3 ms"),
        (0.9994, "999 ms"),
        (0.9999, "1 s"),
        (1.456, "1.46 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (125, "2 min 05 s"),
        (math.inf, "∞"),
        (math.nan, "–"),
    ],
)
def test_durations_have_three_digits_and_their_unit(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (1_318_242_104, "1.32 GB")],
)
def test_sizes_are_decimal(count: int, text: str) -> None:
    assert size(count) == text


def test_figures_come_in_the_unit_of_their_target() -> None:
    assert quantity(0.5, "s") == "500 ms"
    assert quantity(0.125, "share") == "12.5 %"
    assert quantity(12_345.6, "tokens/s") == "12,346 tokens/s"
    assert quantity(None, "s") == "–"


def test_an_interval_has_its_unit_once_where_it_is_the_same() -> None:
    assert between(Interval(value=0.1, low=0.05, high=0.2), "s") == "50 – 200 ms"
    assert between(Interval(value=0.1, low=0.05, high=2), "s") == "50 ms – 2 s"


def test_shares_and_probabilities_are_short() -> None:
    assert (share(0.7), share(0.8833)) == ("70 %", "88.3 %")
    assert [probability(p) for p in (0.00001, 0.00213, 0.3321, 1)] == [
        "p < 0.0001", "p = 0.0021", "p = 0.33", "p = 1.00",
    ]  # fmt: skip
