"""A completions server of known timing in another process, and runs of the harness against it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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
def start_server(request: pytest.FixtureRequest) -> Callable[..., str]:
    """Starts servers that end with the test: `url = start_server("--ttft", "0.1")`."""

    def start(*options: str) -> str:
        block = timed_server(*options)
        url = block.__enter__()
        request.addfinalizer(lambda: block.__exit__(None, None, None))
        return url

    return start
