"""Files and directories that machines lie on: room, rights, and what an image is by `qemu-img`."""

import json
import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from resources.host.kernel import program

_PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Directory:
    """Where a directory is, or is to be: `nearest` is what of its path is there already.

    `free` are bytes, `device` numbers the file system; `strangers` is the first directory on the
    way that anybody may write to, `closed` the first that other users may not enter; "" for none.
    """

    path: str
    is_there: bool
    is_directory: bool
    nearest: str
    device: int
    free: int
    is_writable: bool
    strangers: str = ""
    closed: str = ""


@dataclass(frozen=True)
class Image:
    """`format` is "" where qemu-img cannot tell, which `problem` says; `size` is the disk's.

    `strangers` and `closed` are as a directory's, the file itself included.
    """

    path: str
    is_there: bool
    is_readable: bool
    format: str
    size: int
    problem: str = ""
    strangers: str = ""
    closed: str = ""


def directory(path: Path) -> Directory:
    """What is there of it, as far as this user can see; nothing is made."""
    nearest = next(each for each in (path, *path.parents) if is_there(each))
    found = nearest.stat()
    return Directory(
        path=str(path),
        is_there=is_there(path),
        is_directory=nearest.is_dir(),
        nearest=str(nearest),
        device=found.st_dev,
        free=shutil.disk_usage(nearest).free,
        is_writable=os.access(nearest, os.W_OK | os.X_OK),
        strangers=_strangers(nearest),
        closed=_closed(nearest),
    )


def image(path: Path) -> Image:
    """What a file is; `qemu-img` reads only its first bytes, and those of what it lies on."""
    if not is_there(path) or not path.is_file():
        return Image(str(path), is_there(path), is_readable=False, format="", size=0)
    is_readable = os.access(path, os.R_OK)
    kind, size, problem = _told(path) if is_readable else ("", 0, "")
    return Image(
        str(path), True, is_readable, kind, size, problem, _strangers(path), _closed(path.parent)
    )


def is_there(path: Path) -> bool:
    """False for what this user cannot see, too, for which `Path.exists` raises an error."""
    return os.access(path, os.F_OK)


def allocated(path: Path) -> int:
    """The bytes that a file takes of its file system; 0 where it is not there or not seen."""
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


def _told(path: Path) -> tuple[str, int, str]:
    asked = program("qemu-img")
    if asked is None:
        return "", 0, "qemu-img is not installed"
    command = [asked, "info", "--force-share", "--backing-chain", "--output=json", str(path)]
    try:
        ended = subprocess.run(
            command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL,
            timeout=_PATIENCE_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "", 0, f"qemu-img did not answer within {_PATIENCE_SECONDS} s"
    if ended.returncode:
        return "", 0, ended.stderr.strip().removeprefix("qemu-img: ")
    first = json.loads(ended.stdout)[0]
    return str(first["format"]), int(first["virtual-size"]), ""


def _strangers(path: Path) -> str:
    """A directory with the sticky bit lets nobody replace what is another's."""
    for each in (path, *path.parents):
        mode = each.stat().st_mode
        if mode & stat.S_IWOTH and not (each.is_dir() and mode & stat.S_ISVTX):
            return str(each)
    return ""


def _closed(path: Path) -> str:
    for each in (*reversed(path.parents), path):
        if each.is_dir() and not each.stat().st_mode & stat.S_IXOTH:
            return str(each)
    return ""
