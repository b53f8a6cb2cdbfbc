"""The load test and the trend as assets: a real Locust against a server on loopback."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloud_assets import keys
from cloud_assets.benchmarks.metadata import TARGET_COLUMNS
from cloud_assets.documents import Verdict
from cloud_assets.reports.thumbnail import INLINE_CHARACTERS
from cloud_assets.settings import Evaluation
from tests.doubles.world import MODEL, World, a_world, checks, complaint, metadata

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which one load test has run; the module looks at what it left."""
    with a_world(tmp_path_factory.mktemp("measured")) as world:
        world.publish()
        assert world.run(keys.BENCHMARK_REPORT).success
        yield world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as found:
        yield found


def told(world: World) -> Mapping[str, Any]:
    import dagster as dg

    event = world.instance.get_latest_materialization_event(dg.AssetKey(keys.BENCHMARK_REPORT))
    assert event is not None
    assert event.asset_materialization is not None
    found = event.asset_materialization.metadata
    return {name: value.value for name, value in found.items()}


def test_the_report_counts_what_was_sent(measured: World) -> None:
    found = told(measured)
    assert found["requests"] > 0
    assert found["failures"] == 0
    assert found["verdict"] in set(Verdict)
    assert found["profile"] == "smoke"


def test_the_figures_stand_in_the_registry(measured: World) -> None:
    figures = measured.registry.figures["qa.run.100"]
    assert {"latency_p50", "latency_p95", "throughput", "goodput"} <= set(figures)
    assert figures["latency_p50"] == pytest.approx(told(measured)["latency_p50"], abs=1e-5)


def test_what_matters_stands_in_the_ui_as_figures_of_their_own(measured: World) -> None:
    found = told(measured)
    figures = {"latency_p50", "latency_p95", "ttft_p50", "ttft_p95", "throughput"}
    assert {name for name in figures if isinstance(found[name], float)} == figures


def test_a_picture_stands_in_the_ui_without_a_click(measured: World) -> None:
    assert told(measured)["latency"].startswith("![latency](data:image/svg+xml;base64,")
    assert len(told(measured)["latency"]) < INLINE_CHARACTERS


def test_every_target_stands_in_the_ui(measured: World) -> None:
    rows = [record.data for record in told(measured)["targets"].records]
    assert len(rows) == len(measured.settings.benchmark.targets)
    assert all(set(row) == set(TARGET_COLUMNS) for row in rows)


def test_the_report_is_a_link_to_the_page(measured: World) -> None:
    found = told(measured)
    assert found["report"].startswith(measured.registry.url)
    assert found["report"].endswith("/artifacts/report.html")
    assert Path(found["report_file"]).read_text("utf-8").startswith("<!doctype html>")


def test_page_report_and_rows_are_kept(measured: World) -> None:
    names = {Path(name).name for name in measured.store.list("reports/qa.run.100/")}
    assert {"benchmark.json", "report.html"} <= names
    assert any(name.endswith(".parquet") for name in names)
    assert "qa.run.100" in measured.registry.attached["qa.run.100", "report.html"]


def test_it_was_served_for_as_long_as_it_was_measured(measured: World) -> None:
    assert (measured.serving.started, measured.serving.up) == (["qa.run.100"], [])


def test_the_trend_is_drawn_over_all_that_is_published(measured: World) -> None:
    measured.publish(200)
    result = measured.run(keys.BENCHMARK_TREND, step=None)
    assert result.success
    page = (measured.store.read(f"reports/{MODEL}.html") or b"").decode()
    assert "qa.run.100" in page
    assert "qa.run.200" in page
    assert metadata(result, keys.BENCHMARK_TREND)[MODEL].endswith(f"reports/{MODEL}.html")


def test_a_server_that_refuses_everything_never_passes(world: World) -> None:
    world.publish()
    world.server.status = 500
    result = world.run(keys.BENCHMARK_REPORT)
    assert result.success
    assert checks(result) == {"targets_met": False}


def test_without_prompts_it_says_how_to_name_some(world: World) -> None:
    world.publish()
    world.settings = world.settings.model_copy(update={"evaluation": Evaluation()})
    result = world.run(keys.BENCHMARK_REPORT)
    assert "neither the profile nor the evaluation names any" in complaint(result)
    assert world.serving.up == []
