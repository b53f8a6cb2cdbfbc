"""The graph in Dagster's plain form: `dagster dev -w workspace.yaml`, without the platform."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from cloud_assets import stages
from resources.ports import free_ports

REPOSITORY = Path(__file__).parents[1]
PATIENCE_SECONDS = 100

GRAPH = """
{
  repositoriesOrError {
    __typename
    ... on RepositoryConnection {
      nodes { assetNodes { assetKey { path } } }
    }
  }
}
"""


@pytest.fixture
def plain_dagster(tmp_path: Path) -> Iterator[str]:
    """The address of `dagster dev`, given nothing but the workspace and an empty home."""
    port = free_ports(1)[0]
    spared = ("AI_HOW_", "DAGSTER_", "MLFLOW_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(spared)}
    home = tmp_path / "dagster"
    home.mkdir()
    with (tmp_path / "log").open("wb") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml", "-p", str(port)],
            cwd=REPOSITORY, stdout=log, stderr=log,
            env={**environment, "DAGSTER_HOME": str(home), "AI_HOW_HOME": str(tmp_path / "home"),
                 "TMPDIR": str(tmp_path)},
        )  # fmt: skip
    yield f"http://127.0.0.1:{port}"
    # Asked to end, it would first let the tick of a sensor pass, which is held for 20 seconds.
    processes = [psutil.Process(started.pid), *psutil.Process(started.pid).children(recursive=True)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes)
    started.wait()


def _ask(url: str) -> dict[str, object]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            answer = httpx.post(f"{url}/graphql", json={"query": GRAPH}, timeout=60)
            found: dict[str, object] = answer.json()["data"]["repositoriesOrError"]["nodes"][0]
            return found
        except (httpx.HTTPError, ValueError, KeyError, IndexError):
            assert time.monotonic() < deadline, "the graph was not loaded"
            time.sleep(0.2)


@pytest.mark.real
@pytest.mark.timeout(200)
def test_dagster_dev_loads_the_graph(plain_dagster: str) -> None:
    found = _ask(plain_dagster)
    nodes = found["assetNodes"]
    assert isinstance(nodes, list)
    assert {node["assetKey"]["path"][0] for node in nodes} == {
        *stages.STAGES,
        stages.BENCHMARK_TREND,
        stages.ENDPOINT,
    }
