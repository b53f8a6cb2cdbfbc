"""What a person sees in Chromium: the graph, a checkpoint's partition, its runs, and its report.

Nothing that the pages load may leave this machine. Screenshots are left in the test's directory.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect, sync_playwright

from cloud_assets import stages
from cloud_assets.cli.commands import platform
from cloud_assets.settings import Settings
from cloud_assets.settings_file import read_settings
from resources.dagster.graphql import DagsterGraphQL
from resources.ports import free_ports
from resources.supervisor import Supervisor, sweep

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium on this machine"),
]
REPOSITORY = Path(__file__).parents[2]
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
MODEL = "capitals"
KEY = f"{MODEL}.seen.25"
GRAPH_PAGE = "/locations/__repository__@ai-how/asset-groups/ml"
PATIENCE_MS = 180_000


@dataclass(frozen=True)
class Platform:
    """A platform that has taken one checkpoint through all its stages."""

    settings: Settings
    run_id: str

    @property
    def dagster(self) -> str:
        return self.settings.dagster_url

    @property
    def report(self) -> Path:
        reports = self.settings.home / "store" / "reports" / KEY
        return next(reports.glob("*/report.html"))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("platform")
    file = home / "cluster.yaml"
    file.write_text(yaml.safe_dump({"platform": _platform()}))
    (home / "runs").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AI_HOW_CLUSTER", str(file))
        settings = read_settings(file)
        try:
            platform.start(settings, lambda line: None)
            _train(settings)
            yield Platform(settings, _released(settings))
        finally:
            Supervisor(settings.home).shutdown()
            sweep(settings.home)


def _platform() -> dict[str, object]:
    suite = str(REPOSITORY / "examples" / "capitals" / "suite.jsonl")
    return {
        "home": ".",
        "ports": dict(zip(("dagster", "mlflow", "gateway"), free_ports(3), strict=True)),
        "roots": [{"path": "runs", "model": MODEL}],
        "evaluation": {"suites": {MODEL: suite}, "max_tokens": 12},
    }


def _train(settings: Settings) -> None:
    root = str(settings.roots[0].path)
    subprocess.run(
        [sys.executable, "-m", "examples.train", "--root", root, "--run", "seen",
         "--steps", "25", "--save-steps", "25"],
        cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=True,
        capture_output=True, timeout=400,
    )  # fmt: skip


def _released(settings: Settings) -> str:
    """The id of the run that ended with the checkpoint's release."""
    graph = DagsterGraphQL(settings.dagster_url)
    deadline = time.monotonic() + 400
    while True:
        runs = graph.runs(tags={stages.PARTITION_TAG: KEY})
        if runs and runs[0].finished:
            graph.close()
            assert runs[0].status == "SUCCESS"
            return runs[0].run_id
        assert time.monotonic() < deadline, "the checkpoint was not released"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def asked() -> list[str]:
    """The addresses that the page asked for."""
    return []


@pytest.fixture
def page(browser: Browser, asked: list[str]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1800, "height": 1100})
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE_MS)
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("websocket", lambda socket: asked.append(socket.url))
    yield opened
    context.close()


@pytest.fixture(autouse=True)
def _picture(page: Page, tmp_path: Path) -> Iterator[None]:
    yield
    page.screenshot(path=tmp_path / "page.png")


def _sees(page: Page, text: str) -> None:
    expect(page.get_by_text(text, exact=True).first).to_be_visible(timeout=PATIENCE_MS)


def _strangers(asked: list[str]) -> list[str]:
    """Addresses that are neither on this machine nor inside the page."""
    return [
        url
        for url in asked
        if urlsplit(url).scheme not in {"file", "data", "blob"}
        and urlsplit(url).hostname != "127.0.0.1"
    ]


def _model_page(running: Platform) -> str:
    return f"{running.settings.registry_url}/#/models/{MODEL}/versions/1"


@pytest.mark.parametrize("asset", [*stages.STAGES, stages.BENCHMARK_TREND, stages.ENDPOINT])
def test_the_graph_shows_every_asset(running: Platform, page: Page, asset: str) -> None:
    page.goto(running.dagster + GRAPH_PAGE)
    _sees(page, asset)


def test_the_catalog_names_the_group(running: Platform, page: Page) -> None:
    page.goto(f"{running.dagster}/assets")
    _sees(page, "ml")


@pytest.mark.parametrize("asset", stages.STAGES)
def test_the_partition_of_the_checkpoint_is_materialised(
    running: Platform, page: Page, asset: str
) -> None:
    page.goto(f"{running.dagster}/assets/{asset}?view=partitions&partition={KEY}")
    _sees(page, KEY)
    _sees(page, "Materialized")


def test_the_load_test_shows_its_picture_without_a_click(running: Platform, page: Page) -> None:
    page.goto(f"{running.dagster}/assets/benchmark_report?view=partitions&partition={KEY}")
    _sees(page, "latency_p95")
    picture = page.locator("img[src^='data:image/svg+xml']").first
    expect(picture).to_be_visible(timeout=PATIENCE_MS)
    assert picture.evaluate("image => image.complete && image.naturalWidth > 0")


def test_the_load_test_leads_to_its_report(running: Platform, page: Page) -> None:
    page.goto(f"{running.dagster}/assets/benchmark_report?view=partitions&partition={KEY}")
    link = page.locator(f"a[href^='{running.settings.registry_url}']").first
    page.goto(str(link.get_attribute("href")))
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("heading", name=KEY)).to_be_visible(timeout=PATIENCE_MS)


def test_the_run_shows_its_stages(running: Platform, page: Page) -> None:
    page.goto(f"{running.dagster}/runs/{running.run_id}")
    _sees(page, "Success")
    _sees(page, stages.RELEASE)


def test_the_sensor_shows_its_ticks(running: Platform, page: Page) -> None:
    page.goto(f"{running.dagster}/locations/__repository__@ai-how/sensors/new_checkpoints")
    _sees(page, "1 run requested")


def test_the_report_shows_the_checkpoint_and_its_decision(running: Platform, page: Page) -> None:
    page.goto(running.report.as_uri())
    _sees(page, KEY)
    expect(page.get_by_label("decision")).to_contain_text("promoted")


def test_the_trend_leads_to_the_report_in_mlflow(running: Platform, page: Page) -> None:
    page.goto(f"{running.dagster}/assets/{stages.BENCHMARK_TREND}?view=events")
    link = page.locator(f"a[href^='{running.settings.registry_url}']").first
    page.goto(str(link.get_attribute("href")))
    _sees(page, "report.html")
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("heading", name=KEY)).to_be_visible(timeout=PATIENCE_MS)


def test_the_report_asks_for_nothing_but_itself(
    running: Platform, page: Page, asked: list[str]
) -> None:
    page.goto(running.report.as_uri(), wait_until="networkidle")
    assert [url for url in asked if not url.startswith("data:")] == [running.report.as_uri()]


def test_mlflow_shows_the_version_and_its_alias(running: Platform, page: Page) -> None:
    page.goto(_model_page(running))
    _sees(page, KEY)
    expect(page.get_by_text("champion").first).to_be_visible(timeout=PATIENCE_MS)


@pytest.mark.parametrize("path", ["", GRAPH_PAGE, "/assets/release", "/runs"])
def test_no_page_of_the_ui_asks_another_machine(
    running: Platform, page: Page, asked: list[str], path: str
) -> None:
    page.goto(running.dagster + path, wait_until="networkidle")
    assert _strangers(asked) == []
