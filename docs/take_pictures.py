"""Takes the pictures of the README from a running platform: the graph, a report, a trend page.

`python -m docs.take_pictures KEY` with the demo's platform up (or AI_HOW_CLUSTER set) and Chromium
installed; KEY is the checkpoint whose report is shown. Nothing but loopback and files is loaded.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, Page, Route, sync_playwright

from cloud_assets.settings import Settings
from cloud_assets.settings_file import load_settings

PICTURES = Path(__file__).with_name("pictures")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
LOCAL = ("http://127.0.0.1", "file:", "data:", "blob:")
GRAPH_PAGE = "/locations/__repository__@ai-how/asset-groups/ml"
GRAPH_CLIP: FloatRect = {"x": 110, "y": 270, "width": 2340, "height": 480}
#: The graph redraws itself after its data came, and says nowhere when it is done.
GRAPH_WAIT_MS = 9000


def main() -> None:
    settings = load_settings()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 2500, "height": 900})
        page.route("**/*", _only_local)
        _keep("graph", _graph(page, settings))
        page.set_viewport_size({"width": 1200, "height": 1600})
        _keep("report", _file(page, _report(settings, sys.argv[1])))
        page.set_viewport_size({"width": 1200, "height": 1080})
        model = sys.argv[1].partition(".")[0]
        _keep("trend", _file(page, settings.home / "store" / "reports" / f"{model}.html"))
        browser.close()


def _only_local(route: Route) -> None:
    if route.request.url.startswith(LOCAL):
        route.continue_()
    else:
        route.abort()


def _graph(page: Page, settings: Settings) -> bytes:
    page.goto(settings.dagster_url + GRAPH_PAGE)
    page.get_by_text("Hide navigation").click()
    page.reload()
    page.wait_for_timeout(GRAPH_WAIT_MS)
    return page.screenshot(clip=GRAPH_CLIP)


def _report(settings: Settings, key: str) -> Path:
    return next((settings.home / "store" / "reports" / key).glob("*/report.html"))


def _file(page: Page, path: Path) -> bytes:
    page.goto(path.as_uri())
    return page.screenshot()


def _keep(name: str, shot: bytes) -> None:
    """With a palette of 256 colours, which these flat pages do not miss."""
    PICTURES.mkdir(exist_ok=True)
    with Image.open(io.BytesIO(shot)) as image:
        image.convert("RGB").quantize(256).save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
