"""Files that are replaced whole, and locks between processes, so that a kill leaves no half."""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.errors import PermanentError, TransientError


def replace(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Put `text` at `path` in one step that outlives a crash: written, synced, renamed, synced.

    Raises PermanentError, as on a full disk; then what stood there before stands there still.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            _fill(descriptor, text, mode)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
        _sync_directory(path.parent)
    except OSError as error:
        raise PermanentError("the platform", f"write {path}", str(error)) from error


@contextmanager
def locked(path: Path, *, timeout_seconds: float) -> Iterator[None]:
    """Hold the lock file `path` against other processes and threads; a kill releases it.

    Raises TransientError when somebody else holds it for longer than `timeout_seconds`,
    PermanentError when there can be no such file.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise PermanentError("the platform", f"make the lock {path}", str(error)) from error
    try:
        _acquire(descriptor, path, deadline=time.monotonic() + timeout_seconds)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, *, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise TransientError(
                    "the platform", f"take the lock {path}", "another process holds it"
                ) from error
            time.sleep(0.05)
        else:
            return


def _fill(descriptor: int, text: str, mode: int) -> None:
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
