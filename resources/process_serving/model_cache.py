"""Model directories on this machine: published ones used where they stand, others fetched once.

How bytes are fetched is the caller's callable; the cache only places them.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from resources import atomic
from resources.errors import PermanentError

# fetch(location, directory): fill `directory` with the objects below the URL. It may hold what a
# killed call left and must then end up the same.
Fetch = Callable[[str, Path], None]

_log = logging.getLogger(__name__)


class ModelCache:
    """`directory` for a location; complete directories only, each under a name of its own."""

    def __init__(self, root: Path, fetch: Fetch | None = None) -> None:
        self._root = root
        self._fetch = fetch

    def directory(self, location: str, *, timeout_seconds: float) -> Path:
        """The directory that holds what is published at `location`.

        Raises PermanentError when a `file://` location is not there or another cannot be fetched,
        and whatever the fetch raises.
        """
        address = urlsplit(location)
        if address.scheme == "file":
            return _existing(Path(unquote(address.path)))
        if self._fetch is None:
            raise PermanentError("the model cache", f"fetch {location}", "it was given no fetch")
        place = self._place(location)
        with atomic.locked(place.with_suffix(".lock"), timeout_seconds=timeout_seconds):
            if not place.is_dir():
                partial = place.with_suffix(".partial")
                try:
                    partial.mkdir(mode=0o700, exist_ok=True)
                    self._fetch(location, partial)
                    partial.rename(place)
                except OSError as error:
                    raise PermanentError(
                        "the model cache", f"fetch {location}", str(error)
                    ) from error
        return place

    def drop(self, location: str) -> None:
        """Forget what was fetched from `location`; published directories are left alone."""
        if urlsplit(location).scheme != "file":
            place = self._place(location)
            for directory in (place, place.with_suffix(".partial")):
                shutil.rmtree(directory, ignore_errors=True)
            place.with_suffix(".lock").unlink(missing_ok=True)

    def _place(self, location: str) -> Path:
        return self._root / hashlib.sha256(location.encode()).hexdigest()[:24]


def _existing(directory: Path) -> Path:
    if not directory.is_dir():
        raise PermanentError(
            "the model cache",
            f"find {directory}",
            "there is no such directory",
            hint="publish the checkpoint again: materialise its model_artifact",
        )
    return directory
