"""What the testbed says while it works: one line a step on standard error, with its seconds."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_BEGUN = time.monotonic()


def say(text: str) -> None:
    """One line, behind the seconds since this process began."""
    sys.stderr.write(f"[{time.monotonic() - _BEGUN:6.1f} s] {text}\n")
    sys.stderr.flush()


@contextmanager
def step(text: str) -> Iterator[None]:
    """Say that it begins, and how long it took once it is done."""
    say(f"{text} …")
    begun = time.monotonic()
    yield
    say(f"{text}: {time.monotonic() - begun:.1f} s")
