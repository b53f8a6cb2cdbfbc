"""A completions server of known timing in another process, and runs of the harness against it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

StartServer = Callable[..., str]
SERVER = Path(__file__).parent.parent / "doubles" / "timed_model_server.py"


@contextmanager
def timed_server(*options: str) -> Iterator[str]:
    """The URL of a server that ends with the block."""
    with subprocess.Popen(
        [sys.executable, str(SERVER), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Starts servers that end with the test: `url = start_server("--ttft", "0.1")`."""
    with ExitStack() as running:
        yield lambda *options: running.enter_context(timed_server(*options))


@pytest.fixture(scope="module")
def start_shared() -> Iterator[StartServer]:
    """The same for servers that several tests of a module look at."""
    with ExitStack() as running:
        yield lambda *options: running.enter_context(timed_server(*options))
