"""Real Dagster services of one instance: code server, daemon and webserver, each to be killed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml
from dagster import DagsterInstance

from cloud_assets.cli.programs import CODE_LOCATION, instance_config
from resources.dagster.graphql import DagsterGraphQL
from resources.ports import free_ports
from tests.doubles.waiting_graph import HOLD_VARIABLE

REPOSITORY = Path(__file__).parents[2]
GRAPH = "tests.doubles.waiting_graph"


class DagsterServices:
    """Services of the instance in `home`, by default with the platform's own `dagster.yaml`."""

    def __init__(self, home: Path, configuration: Mapping[str, Any] | None = None) -> None:
        self.home = home
        self.configuration = configuration or instance_config()
        # Less than the platform's, so that a fork server is soon there again after a kill.
        self.preload = "dagster._cli,dagster_graphql"
        self.hold = home / "hold"
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.graph = DagsterGraphQL(self.url)
        self.daemon: subprocess.Popen[bytes] | None = None
        self._others: list[subprocess.Popen[bytes]] = []
        # A socket's path may not be long, as that of a test's directory is.
        self._socket = Path("/tmp") / f"test-code-{os.getpid()}-{self.port}.sock"
        self._workspace = home / "workspace.yaml"

    def start(self) -> None:
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(dict(self.configuration)))
        server = {"socket": str(self._socket), "location_name": CODE_LOCATION}
        self._workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
        DagsterInstance.from_config(str(self.home)).dispose()
        self._others.append(
            self._run("dagster", "api", "grpc", "--module-name", GRAPH, "--location-name",
                      CODE_LOCATION, "--socket", str(self._socket))
        )  # fmt: skip
        self._wait(lambda: self._socket.exists())
        self.start_daemon()
        self._others.append(
            self._run("resources.dagster.webserver", "-h", "127.0.0.1", "-p", str(self.port),
                      "-w", str(self._workspace))
        )  # fmt: skip
        self._wait(self._answers)

    def start_daemon(self) -> None:
        """The first one, or the next after one that was ended."""
        if self.daemon is not None:
            self.daemon.wait()
        self.daemon = self._run("resources.dagster.daemon", "run", "-w", str(self._workspace))

    def instance(self) -> DagsterInstance:
        return DagsterInstance.from_config(str(self.home))

    def stop(self) -> None:
        self.graph.close()
        services = [each for each in (self.daemon, *self._others) if each is not None]
        ours = [each for service in services for each in _family(service.pid)]
        for each in {*ours, *self.workers()}:
            with _gone():
                each.kill()
        for service in services:
            service.wait()
        self._socket.unlink(missing_ok=True)

    def workers(self) -> list[psutil.Process]:
        """All that is left of this instance's run workers and fork servers."""
        return [each for each in psutil.process_iter() if self._is_ours(each)]

    def _is_ours(self, candidate: psutil.Process) -> bool:
        try:
            environment = candidate.environ()
        except (psutil.Error, OSError):
            return False
        return environment.get("DAGSTER_HOME") == str(self.home) and candidate.pid != os.getpid()

    def _run(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(self.home),
            "PYTHONPATH": str(REPOSITORY),
            "AI_HOW_PRELOAD": self.preload,
            "DAGSTER_EVENT_LOG_CONSUMER_DAEMON_INTERVAL_SECONDS": "1",
            HOLD_VARIABLE: str(self.hold),
        }
        with (self.home / f"{module}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=REPOSITORY, env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/server_info", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 90
        while not condition():
            assert time.monotonic() < deadline, "a service did not start"
            time.sleep(0.05)


@contextmanager
def _gone() -> Iterator[None]:
    try:
        yield
    except psutil.NoSuchProcess:
        return


def _family(pid: int) -> list[psutil.Process]:
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
