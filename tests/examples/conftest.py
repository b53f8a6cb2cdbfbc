"""A real mlx_lm server on loopback for any checkpoint directory, ended with the test."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from resources.ports import free_ports

MODEL = "served"
START_SECONDS = 60.0


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health").is_success:
                return
        time.sleep(0.1)
    pytest.fail(f"the model server did not start:\n{log.read_text()}")


@contextlib.contextmanager
def _server(checkpoint: Path, folder: Path) -> Iterator[httpx.Client]:
    # A request's model must be the very text of --model, else the server loads another one.
    (folder / MODEL).symlink_to(checkpoint, target_is_directory=True)
    (folder / "cache").mkdir()
    [port] = free_ports(1)
    command = [sys.executable, "-m", "mlx_lm", "server", "--model", MODEL]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder / "cache")}
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_healthy(url, process, log)
        with httpx.Client(base_url=url, timeout=30) as client:
            yield client
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], httpx.Client]]:
    """Start a server for a checkpoint; a client whose requests name the model `served`."""
    with contextlib.ExitStack() as running:
        yield lambda checkpoint: running.enter_context(
            _server(checkpoint, tmp_path_factory.mktemp("server"))
        )
