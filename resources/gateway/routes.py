"""The gateway's routing table: one JSON file, replaced whole, so that a switch is one step.

`process_serving` writes it, the gateway reads it; either may be killed at any moment.
"""

import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from resources import atomic
from resources.errors import PermanentError
from resources.serving import Route

_VERSION = 1
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """A route with the time, in seconds since 1970, at which it was put behind its endpoint.

    `balanced` says that whoever is behind the URL is chosen anew for each connection.
    """

    route: Route
    since: int
    balanced: bool = False


Table = Mapping[str, Entry]


def read(path: Path) -> Table:
    """The table by endpoint; empty where there is no file yet.

    Raises PermanentError when the file is no routing table.
    """
    try:
        content: Any = json.loads(path.read_text("utf-8"))
        return _entries(content)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PermanentError(
            "the gateway",
            f"read its routes from {path}",
            f"{type(error).__name__}: {error}",
            hint="remove the file; the platform writes it anew from the champions",
        ) from error


def put(path: Path, endpoint: str, route: Route | None, *, balanced: bool = False) -> None:
    """Put `route` behind the endpoint, or close it; a route that stands already is left alone."""
    with atomic.locked(path.with_suffix(".lock"), timeout_seconds=10):
        table = dict(read(path))
        known = table.pop(endpoint, None)
        if (known.route if known else None) == route:
            return
        if route is not None:
            table[endpoint] = Entry(route, int(time.time()), balanced)
        atomic.replace(path, _text(table))


class WatchedTable:
    """The table as the gateway sees it: read again when the file changed, the last good one kept.

    A look costs one `stat`, so every request gets the newest route.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._table: Table = {}
        self.problem = ""

    def current(self) -> Table:
        """The newest readable table; what is wrong with the file, if anything, is `problem`."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            self._load(stamp)
        return self._table

    def _load(self, stamp: tuple[int, int, int] | None) -> None:
        try:
            if stamp is None and self._table:
                raise PermanentError("the gateway", f"read {self._path}", "the file is gone")
            self._table = read(self._path)
            self.problem = ""
        except PermanentError as error:
            self.problem = str(error)
            _log.error("%s; the last good table stays in force", error)

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


def _entries(content: Any) -> dict[str, Entry]:
    if content["version"] != _VERSION:
        raise ValueError(f"version {content['version']} is not {_VERSION}")
    return {
        name: Entry(
            Route(*(_string(each[key]) for key in ("key", "digest", "url", "model_name"))),
            int(each["since"]),
            bool(each.get("balanced")),
        )
        for name, each in content["endpoints"].items()
    }


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _text(table: Table) -> str:
    endpoints = {
        name: asdict(entry.route) | {"since": entry.since, "balanced": entry.balanced}
        for name, entry in sorted(table.items())
    }
    return json.dumps({"version": _VERSION, "endpoints": endpoints}, indent=1) + "\n"
