"""Reads what stands in a checkpoint directory and opens its files; trusts no name and no link.

Never writes: the HF Trainer rotates by directory mtime, so that a marker file would change which
checkpoint it deletes. What the files mean is `layout`'s business.
"""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from resources.errors import RefusedCheckpoint

MAX_FILES = 10_000
MAX_TOTAL_BYTES = 4 * 2**40
MAX_DEPTH = 6
# How safetensors >= 0.8 names a file before it renames it.
TEMPORARY_PREFIX = ".tmp"


@dataclass(frozen=True)
class Entry:
    """One file below a checkpoint directory, links followed: bytes, nanoseconds, inode, owner."""

    name: str
    size: int
    mtime_ns: int
    inode: int
    mode: int
    uid: int


@dataclass(frozen=True)
class Contents:
    """All files of a checkpoint by their relative names, and the sub-directories."""

    entries: dict[str, Entry]
    directories: frozenset[str]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the sorted (name, size, mtime_ns) of all files."""
        rows = sorted((entry.name, entry.size, entry.mtime_ns) for entry in self.entries.values())
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def fingerprint_of(directory: Path) -> str | None:
    """The fingerprint of what stands there now; None when it cannot be read."""
    try:
        with opened(directory) as descriptor:
            return read(descriptor, directory).fingerprint
    except (OSError, RefusedCheckpoint):
        return None


def quoted(name: str) -> str:
    """`name` fit for a table: control characters escaped, at most 80 characters."""
    text = repr(name)[1:-1]
    return text if len(text) <= 80 else f"{text[:77]}..."


@contextmanager
def opened(directory: Path) -> Iterator[int]:
    """A descriptor of the directory itself. Raises OSError, ELOOP or ENOTDIR for a link."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read(descriptor: int, directory: Path) -> Contents:
    """Everything below the directory open as `descriptor`.

    Raises RefusedCheckpoint for devices, pipes, setuid files, links that leave the run's
    directory, foreign hard links and excess; FileNotFoundError for a file that vanished meanwhile;
    OSError.
    """
    root = Path(os.path.realpath(directory.parent))
    entries: dict[str, Entry] = {}
    directories: set[str] = set()
    owner = os.fstat(descriptor).st_uid
    total = 0
    for name, status in _walk(descriptor, "", MAX_DEPTH):
        if stat.S_ISLNK(status.st_mode):
            status = _link_target(directory / name, name, root)
        if stat.S_ISDIR(status.st_mode):
            directories.add(name)
            continue
        _refuse_special(name, status, owner)
        entries[name] = _entry(name, status)
        total += status.st_size
        if len(entries) > MAX_FILES:
            raise RefusedCheckpoint(f"there are more than {MAX_FILES:,} files")
        if total > MAX_TOTAL_BYTES:
            raise RefusedCheckpoint(f"the files are larger than {MAX_TOTAL_BYTES:,} bytes in total")
    return Contents(entries, frozenset(directories))


@contextmanager
def open_file(descriptor: int, name: str, directory: Path) -> Iterator[int]:
    """A descriptor of the regular file `name` in the directory open as `descriptor`.

    A link is followed when what it opens lies inside the run's directory. Raises RefusedCheckpoint
    where it does not, OSError where the file cannot be opened.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        file = os.open(name, flags | os.O_NOFOLLOW, dir_fd=descriptor)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        root = Path(os.path.realpath(directory.parent))
        _link_target(directory / name, name, root)
        file = os.open(os.path.realpath(directory / name), flags | os.O_NOFOLLOW)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise RefusedCheckpoint(f"{quoted(name)} is not a regular file")
        _refuse_outside(file, name, directory)
        yield file
    finally:
        os.close(file)


def stated(name: str, file: int) -> Entry:
    """What the open file is now."""
    return _entry(name, os.fstat(file))


def _entry(name: str, status: os.stat_result) -> Entry:
    return Entry(
        name, status.st_size, status.st_mtime_ns, status.st_ino, status.st_mode, status.st_uid
    )


def _walk(descriptor: int, prefix: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
    """Relative names with their lstat, directories before what is in them."""
    with os.scandir(descriptor) as found:
        names = [entry.name for entry in found]
    for base in names:
        name = prefix + base
        try:
            status = os.stat(base, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            if base.startswith(TEMPORARY_PREFIX):
                continue
            raise
        yield name, status
        if stat.S_ISDIR(status.st_mode):
            if depth == 0:
                raise RefusedCheckpoint(f"{quoted(name)} lies deeper than {MAX_DEPTH} levels")
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below = os.open(base, flags, dir_fd=descriptor)
            try:
                yield from _walk(below, f"{name}/", depth - 1)
            finally:
                os.close(below)


def _link_target(path: Path, name: str, root: Path) -> os.stat_result:
    target = Path(os.path.realpath(path))
    if not target.is_relative_to(root):
        raise RefusedCheckpoint(f"{quoted(name)} is a link that leads out of the run's directory")
    try:
        status = os.lstat(target)
    except FileNotFoundError as error:
        if not os.path.lexists(path):
            raise
        raise RefusedCheckpoint(f"{quoted(name)} is a link that leads nowhere") from error
    if stat.S_ISLNK(status.st_mode):
        raise RefusedCheckpoint(f"{quoted(name)} is a link that leads nowhere")
    return status


def _refuse_special(name: str, status: os.stat_result, owner: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise RefusedCheckpoint(f"{quoted(name)} is neither a file nor a directory")
    if status.st_mode & (stat.S_ISUID | stat.S_ISGID):
        raise RefusedCheckpoint(f"{quoted(name)} has a setuid or setgid bit")
    if status.st_nlink > 1 and status.st_uid != owner:
        raise RefusedCheckpoint(f"{quoted(name)} is a hard link to a file of user {status.st_uid}")


def _refuse_outside(file: int, name: str, directory: Path) -> None:
    """Asks where the descriptor really is, so that a link swapped after the check gains nothing."""
    where = Path(f"/proc/self/fd/{file}")
    if where.is_symlink() and not Path(os.readlink(where)).is_relative_to(
        os.path.realpath(directory.parent)
    ):
        raise RefusedCheckpoint(f"{quoted(name)} lies outside the run's directory")
