"""One set of real Dagster services for this folder, and the runs that its tests wait for."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resources.dagster.graphql import DagsterGraphQL, Run
from resources.ports import free_ports
from tests.doubles.dagster_services import DagsterServices

Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterServices]:
    running = DagsterServices(tmp_path_factory.mktemp("dagster"))
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def free_port() -> int:
    """A port on which nobody listens."""
    return free_ports(1)[0]


@pytest.fixture
def graph(services: DagsterServices) -> DagsterGraphQL:
    return services.graph


@pytest.fixture
def finished(graph: DagsterGraphQL) -> Callable[[str], Run]:
    """Waits until a run is over."""

    def wait(run_id: str) -> Run:
        deadline = time.monotonic() + 90
        while True:
            run = graph.run(run_id)
            if run is not None and run.finished:
                return run
            assert time.monotonic() < deadline, f"the run is still {run and run.status}"
            time.sleep(0.05)

    return wait


class Waiting:
    """A run of the asset that waits: who executes it, and the word to go on."""

    def __init__(self, graph: DagsterGraphQL, directory: Path, eventually: Eventually) -> None:
        self._eventually = eventually
        self._directory = directory
        config = {"ops": {"waits": {"config": {"directory": str(directory)}}}}
        self.run_id = graph.submit("wait", config=config)

    def pids(self) -> list[int]:
        """The processes that have begun the asset, one a start."""
        file = self._directory / "pids"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def begun(self, times: int = 1) -> int:
        """Waits for so many starts; the process of the last."""
        self._eventually(lambda: len(self.pids()) >= times)
        return self.pids()[times - 1]

    def go_on(self) -> None:
        (self._directory / "go").touch()


@pytest.fixture
def waiting(
    graph: DagsterGraphQL, tmp_path: Path, eventually: Eventually
) -> Iterator[Callable[[], Waiting]]:
    started: list[Waiting] = []

    def start() -> Waiting:
        directory = tmp_path / str(len(started))
        directory.mkdir()
        started.append(Waiting(graph, directory, eventually))
        return started[-1]

    yield start
    for each in started:
        each.go_on()
