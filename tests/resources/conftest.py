"""Fixtures of the outside world: a home whose processes end with the test, an S3 server."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resources.supervisor import Supervisor, sweep
from tests.doubles.s3_server import S3Server

pytest.register_assert_rewrite(
    "tests.resources.registry_contract", "tests.resources.serving_contract"
)

Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "home with blank, comma 100%"
    directory.mkdir()
    yield directory
    Supervisor(directory).shutdown()
    sweep(directory)


@pytest.fixture
def supervisor(home: Path) -> Supervisor:
    started = Supervisor(home)
    started.start(())
    return started


@pytest.fixture
def eventually() -> Eventually:
    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "never came true"
            time.sleep(0.05)

    return wait


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with S3Server("bucket") as running:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield running
