"""Artefacts in a cache, each under the hash of its recipe: made once, whole or not at all.

What an artefact is made of is left to the modules that define one.
"""

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from resources import atomic
from tests.testbed.progress import step

#: Somebody else's first build may take this long.
_LOCK_SECONDS = 3600.0
_UNUSED_SECONDS = 14 * 24 * 3600.0
_DIGEST = 16
_NAME = re.compile(rf"[a-z][a-z0-9-]*-[0-9a-f]{{{_DIGEST}}}")


@dataclass(frozen=True)
class Artefact:
    """A directory that `build` fills; `recipe` is every word that the content depends on."""

    name: str
    recipe: str
    build: Callable[[Path], None]

    @property
    def path(self) -> Path:
        digest = hashlib.sha256(f"{self.name}\n{self.recipe}".encode()).hexdigest()[:_DIGEST]
        return root() / f"{self.name}-{digest}"


def root() -> Path:
    """`$AI_HOW_CACHE/testbed`, by default below the home directory."""
    cache = os.environ.get("AI_HOW_CACHE") or "~/.cache/ai-how"
    return Path(cache).expanduser().absolute() / "testbed"


def have(artefact: Artefact) -> Path:
    """The artefact's directory, built where it is not there yet; what `build` raises."""
    path = artefact.path
    if path.is_dir():
        # For `prune`.
        os.utime(path)
        return path
    root().mkdir(mode=0o700, parents=True, exist_ok=True)
    with atomic.locked(root() / f".{path.name}.lock", timeout_seconds=_LOCK_SECONDS):
        if not path.is_dir():
            with step(f"building {artefact.name}"):
                _build(artefact, path)
    return path


def prune() -> None:
    """Remove what nobody asked for in two weeks, but never the last used artefact of a name."""
    found = [each for each in root().iterdir() if _NAME.fullmatch(each.name)]
    used = {each: each.stat().st_mtime for each in found}
    last = {each.name[:-_DIGEST]: each for each in sorted(found, key=used.__getitem__)}
    for path in set(found) - set(last.values()):
        if time.time() - used[path] > _UNUSED_SECONDS:
            # Renamed first: half a directory is never found under the name of a whole one.
            shutil.rmtree(path.rename(path.with_name(f".{path.name}.tmp-pruned")))


def _build(artefact: Artefact, path: Path) -> None:
    for stale in root().glob(f".{path.name}.tmp-*"):
        shutil.rmtree(stale)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.tmp-", dir=root()))
    # A container's root may be owned by anyone, but everyone must get into it.
    draft.chmod(0o755)
    try:
        artefact.build(draft)
        draft.rename(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
