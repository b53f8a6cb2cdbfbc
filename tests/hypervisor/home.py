"""Directories of a test run, in which its machines keep all that they write."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PATIENCE_SECONDS = 60.0


@contextmanager
def claimed(prefix: str) -> Iterator[Path]:
    """One of its own, of root alone; those of that prefix whose test run was killed are removed."""
    _sweep(prefix)
    home = Path(tempfile.mkdtemp(prefix=prefix))
    claim = os.open(home, os.O_RDONLY)
    fcntl.flock(claim, fcntl.LOCK_EX)
    try:
        yield home
    finally:
        _remove(home)
        os.close(claim)


def _sweep(prefix: str) -> None:
    """The kernel has ended the processes of a test run that was killed."""
    for home in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        claim = os.open(home, os.O_RDONLY)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(home, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(claim)


def _remove(home: Path) -> None:
    """What was mounted in there was so for nobody else; its processes may still be ending."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while home.exists():
        shutil.rmtree(home, ignore_errors=time.monotonic() < deadline)
        time.sleep(0.05)
    assert not os.path.lexists(home)
