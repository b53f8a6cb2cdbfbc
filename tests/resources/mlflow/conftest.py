"""A real MLflow server for this folder, run as the platform runs it, and a proxy that breaks it."""

import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cloud_assets.cli.programs import programs
from cloud_assets.settings import Ports, Settings
from resources.mlflow import Registration, Registry
from resources.ports import free_ports
from resources.supervisor import Program, Supervisor
from tests.doubles.breaking_proxy import BreakingProxy

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("mlflow")
    with _running(home, free_ports(1)[0]) as url:
        yield url


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the attempts of one call; their number is the product's own."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def registry(mlflow_url: str) -> Registry:
    return Registry(mlflow_url)


@pytest.fixture
def proxy(mlflow_url: str) -> Iterator[BreakingProxy]:
    with BreakingProxy(int(mlflow_url.rpartition(":")[2])) as running:
        yield running


@pytest.fixture
def model() -> str:
    """A model that no other test registers."""
    return f"model-{next(NUMBERS)}"


@pytest.fixture
def wanted(model: str) -> Callable[..., Registration]:
    """Builds the registration of a step; the digest follows from the step unless given."""

    def build(step: int = 100, *, digest: str | None = None) -> Registration:
        return registration(model, step, digest or f"digest-of-{step}")

    return build


def registration(model: str, step: int, digest: str) -> Registration:
    return Registration(
        model=model,
        key=f"{model}.run.{step}",
        digest=digest,
        source=f"store:///place/{digest}/",
        run="run",
        step=step,
        tags={"ai-how.layout": "hf"},
        parameters={"max_steps": "200"},
        history=[("loss", 50, 2.0), ("loss", 100, 1.0)],
    )


def _mlflow_program(home: Path, port: int) -> Program:
    settings = Settings(home=home, ports=Ports(mlflow=port))
    started = programs(settings, Supervisor(home))
    return next(program for program in started if program.name == "mlflow")


@contextmanager
def _running(home: Path, port: int) -> Iterator[str]:
    program = _mlflow_program(home, port)
    (home / "mlflow").mkdir()
    url = f"http://127.0.0.1:{port}"
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            program.command, cwd=home, env={**os.environ, **program.environment},
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 100
        while not _answers(url):
            assert server.poll() is None, (home / "log").read_text()
            assert time.monotonic() < deadline, "MLflow did not start"
            time.sleep(0.1)
        yield url
    finally:
        os.killpg(server.pid, 9)
        server.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False
