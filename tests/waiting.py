"""Waiting in a test for what another process or system brings about; no measure of its speed."""

import time
from collections.abc import Callable


def until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    """Raises AssertionError where it has not come true after so long."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not true after {seconds:g} s"
        time.sleep(0.1)
