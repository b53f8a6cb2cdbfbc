"""Lists checkpoints two levels below a root, and says when one has been quiet for long enough.

Only names and directory types are read, no checkpoint is opened: judging one is `layout`'s
business. Names come from users' mounts and are hostile until they fit a key.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cloud_assets.identity import KEY_PATTERN, CheckpointKey
from cloud_assets.models.contents import quoted
from cloud_assets.settings import Root
from resources.errors import PermanentError, TransientError

DIRECTORY = re.compile(r"^checkpoint-(0|[1-9][0-9]*)$")
PREFIX = "checkpoint-"
LOCAL_QUIET_SECONDS = 0.3
# Twice and more the attribute caches of NFS and BeeGFS clients, and ranks that stall on storage.
SHARED_QUIET_SECONDS = 30.0
SHARED_FILESYSTEMS = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "beegfs",
        "lustre",
        "gpfs",
        "ceph",
        "9p",
        "virtiofs",
        "glusterfs",
        "afs",
        "panfs",
        "orangefs",
        "pvfs2",
        "wekafs",
        "ocfs2",
        "gfs2",
        "fuse",
    ]
)


@dataclass(frozen=True, slots=True)
class Found:
    """One checkpoint directory by its name: its key, or why it can have none and the fix."""

    directory: Path
    run: str
    step: int | None
    key: CheckpointKey | None
    refusal: str | None = None
    fix: str | None = None


@dataclass(frozen=True)
class Observation:
    """A fingerprint and since when (seconds, wall clock) it has not changed."""

    fingerprint: str
    since: float


@dataclass(frozen=True)
class Quiet:
    """What to remember, and how many seconds nothing may change yet; 0: quiet for long enough."""

    observation: Observation
    remaining: float

    @property
    def ready(self) -> bool:
        return self.remaining == 0


def observe(
    previous: Observation | None, fingerprint: str, *, now: float, quiet_seconds: float
) -> Quiet:
    """Whether `fingerprint` stood for `quiet_seconds`; a clock set back starts the time anew."""
    same = previous is not None and previous.fingerprint == fingerprint and previous.since <= now
    observation = previous if same and previous else Observation(fingerprint, now)
    return Quiet(observation, max(0.0, observation.since + quiet_seconds - now))


def list_checkpoints(root: Path, model: str) -> Iterator[Found]:
    """Every `checkpoint-…` directory below the runs of `root`, in no order.

    Costs two levels of scandir and no stat. Runs that vanish meanwhile are left out. Raises
    as `run_directories` does.
    """
    for run in run_directories(root):
        yield from list_run(root / run.name, model)


def run_directories(root: Path) -> list[os.DirEntry[str]]:
    """The entry of every run below `root`; nothing is asked of the directories themselves.

    Raises TransientError when `root` is not there (a mount may come), PermanentError when it is
    unreadable.
    """
    try:
        with os.scandir(root) as runs:
            return [run for run in runs if run.is_dir(follow_symlinks=False)]
    except FileNotFoundError as error:
        raise TransientError(
            "the watch", f"list {root}", "there is no such directory", hint="create or mount it"
        ) from error
    except OSError as error:
        raise PermanentError(
            "the watch",
            f"list {root}",
            str(error.strerror),
            hint="let the platform's user read and enter it",
        ) from error


def directory_of(roots: Iterable[Root], key: CheckpointKey) -> Path | None:
    """Where the checkpoint `key` stands; None when no root of its model has it (any more)."""
    for root in roots:
        directory = root.path / key.run / f"{PREFIX}{key.step}"
        if root.model == key.model and directory.is_dir() and not directory.is_symlink():
            return directory
    return None


def default_quiet_seconds(path: Path, mounts: Path = Path("/proc/mounts")) -> float:
    """0.3 on a local disk, 30 where other machines may write or attributes are cached."""
    kind = _filesystem(os.path.realpath(path), mounts)
    shared = kind in SHARED_FILESYSTEMS or kind.startswith("fuse.")
    return SHARED_QUIET_SECONDS if shared else LOCAL_QUIET_SECONDS


def list_run(run: Path, model: str) -> Iterator[Found]:
    """The `checkpoint-…` directories of one run; none when it vanished meanwhile."""
    try:
        with os.scandir(run) as found:
            names = [
                entry.name
                for entry in found
                if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False)
            ]
    except FileNotFoundError:
        return
    except OSError as error:
        refusal = f"the run directory {quoted(run.name)} is unreadable: {error.strerror}"
        yield Found(run, run.name, None, None, refusal, "chmod g+rx, or run as its group")
        return
    for name in names:
        yield _found(run, name, model)


def _found(run: Path, name: str, model: str) -> Found:
    directory = run / name
    match = DIRECTORY.match(name) if name.isascii() else None
    if match is None or name.endswith("\n"):
        refusal = f"{quoted(name)} is not named checkpoint-N"
        return Found(directory, run.name, None, None, refusal, "rename it to checkpoint-STEP")
    text = f"{model}.{run.name}.{match[1]}"
    if not KEY_PATTERN.match(text) or "\n" in text:
        refusal = f"the run's name {quoted(run.name)} makes no key: {_why(run.name, len(text))}"
        fix = "rename the run: letters, digits, `.`, `_` and `-` only, short"
        return Found(directory, run.name, None, None, refusal, fix)
    step = int(match[1])
    return Found(directory, run.name, step, CheckpointKey(model, run.name, step))


def _why(run: str, length: int) -> str:
    bad = re.search(r"[^A-Za-z0-9._-]", run)
    if bad:
        return f"it holds {bad[0]!r}"
    return f"model.run.step would have {length} characters, allowed are 63"


def _filesystem(path: str, mounts: Path) -> str:
    """The type of the filesystem that holds `path`; empty where the system does not say."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ""
    kinds = {}
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        kinds[re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)] = kind
    holding = [point for point in kinds if Path(path).is_relative_to(point)]
    return kinds[max(holding, key=len)] if holding else ""
