"""A testbed's own branch of the cgroup tree: made, entered, and removed with all below it.

Which one that is says `Places`. Both versions: a tree for each controller, or one for all.
"""

import os
import time
from pathlib import Path

from resources.errors import PermanentError
from tests.testbed.build import commands

_ROOT = Path("/sys/fs/cgroup")
_PATIENCE_SECONDS = 20.0


def make(branch: str, *children: str) -> None:
    """Have the branch and its `children` in every tree, able to hold processes."""
    for tree in _trees():
        for path in (tree / branch, *(tree / branch / each for each in children)):
            path.mkdir(exist_ok=True)
            _allow(path)


def enter(branch: str, child: str) -> None:
    """Move the calling process into `child`; what it starts stays there too."""
    for tree in _trees():
        (tree / branch / child / "cgroup.procs").write_text(str(os.getpid()), "ascii")


def show_only(branch: str, child: str, target: Path) -> None:
    """Mount `child` of every tree below `target`: the whole of the trees to who sees only that."""
    commands.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", target])
    for tree in _trees():
        place = target / tree.relative_to(_ROOT)
        place.mkdir(exist_ok=True)
        commands.run(["mount", "--bind", tree / branch / child, place])


def remove(branch: str) -> None:
    """Remove the branch. Raises PermanentError while processes of it will not go."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while left := [path for tree in _trees() for path in _prune(tree / branch)]:
        if time.monotonic() > deadline:
            raise PermanentError("the testbed", "remove its cgroups", f"busy: {left[0]}")
        time.sleep(0.05)


def _trees() -> list[Path]:
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    return sorted(each for each in _ROOT.iterdir() if (each / "cgroup.procs").exists())


def _allow(path: Path) -> None:
    """Give a new group what it needs before a process may enter it."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (path / name).exists() and not (path / name).read_text("ascii").strip():
            inherited = path.parent / name
            if inherited.exists():
                (path / name).write_text(inherited.read_text("ascii"), "ascii")
    controllers = path.parent / "cgroup.controllers"
    if controllers.exists():
        wanted = " ".join(f"+{each}" for each in controllers.read_text("ascii").split())
        (path.parent / "cgroup.subtree_control").write_text(wanted, "ascii")


def _prune(path: Path) -> list[Path]:
    """Remove the group from its leaves up; those that would not go."""
    if not path.is_dir():
        return []
    left = [each for child in path.iterdir() if child.is_dir() for each in _prune(child)]
    try:
        path.rmdir()
    except FileNotFoundError:
        return left
    except OSError:
        return [*left, path]
    return left
