"""Fixtures of the outside world: a platform home whose processes are ended with the test."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resources.supervisor import Supervisor, sweep

pytest.register_assert_rewrite("tests.resources.serving_contract")

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
