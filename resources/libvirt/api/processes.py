"""Which processes of this machine have a file open; of other users' root alone is told."""

import os
from collections.abc import Iterator
from pathlib import Path

_PROCESSES = Path("/proc")


def having_open(path: Path) -> tuple[str, ...]:
    """As `name (number)`; none where the file is not on this machine.

    By the file itself and not by its name, which another mount namespace may spell differently.
    """
    try:
        wanted = path.stat()
    except OSError:
        return ()
    found = [
        _named(process)
        for process in _PROCESSES.iterdir()
        if process.name.isdigit() and any(os.path.samestat(each, wanted) for each in _open(process))
    ]
    return tuple(sorted(found))


def _open(process: Path) -> Iterator[os.stat_result]:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:
        return
    for each in descriptors:
        try:
            yield each.stat()
        except OSError:
            continue


def _named(process: Path) -> str:
    try:
        name = (process / "comm").read_text("utf-8").strip()
    except OSError:
        name = "ended"
    return f"{name} ({process.name})"
