"""Which machines were on before a start of the whole system began, in a file until that is over.

Whoever goes on with it, be it the run's own retry or the next command, puts back what the first
attempt found. A killed attempt leaves the file; its lock, which a kill releases, tells it is over.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from resources import atomic
from resources.errors import NeedsRepair, TransientError

_FILE, _LOCK = "system-start.json", "system-start.lock"
#: Who only looks holds the lock for a moment, too.
_PATIENCE_SECONDS = 3.0


@dataclass(frozen=True)
class Before:
    """The machines of one hypervisor, by whether they were on; `since` is in ISO's form."""

    uri: str
    since: str
    on: frozenset[str]
    off: frozenset[str]

    def with_others(self, now: "Before") -> "Before":
        """The same with machines that the file has had since; they count as they are now."""
        known = self.on | self.off
        return Before(self.uri, self.since, self.on | now.on - known, self.off | now.off - known)


@dataclass(frozen=True)
class Unfinished:
    """A start that is not over: it goes on, or whoever did it was killed."""

    before: Before
    is_under_way: bool


def now(uri: str, machines: Mapping[str, bool]) -> Before:
    """As these machines are, by whether they are on."""
    on = frozenset(name for name, is_on in machines.items() if is_on)
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return Before(uri, since, on, frozenset(machines) - on)


def unfinished(home: Path, uri: str) -> Unfinished | None:
    """What is known of a start that is not over, None where there is none."""
    found = _read(home, uri)
    if found is None:
        return None
    try:
        with atomic.locked(home / _LOCK, timeout_seconds=0):
            return Unfinished(found, is_under_way=False)
    except TransientError:
        return Unfinished(found, is_under_way=True)


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Within, nobody else starts the system. Raises NeedsRepair where somebody does already."""
    with ExitStack() as held:
        try:
            held.enter_context(atomic.locked(home / _LOCK, timeout_seconds=_PATIENCE_SECONDS))
        except TransientError as error:
            raise NeedsRepair(
                "the system", "start", "another start of the system is under way",
                hint="`ai-how system status` says how it stands",
            ) from error  # fmt: skip
        yield


def remembered(home: Path, current: Before) -> Before:
    """What the first attempt found, which this one may be; it outlives whoever asks."""
    found = _read(home, current.uri)
    kept = found.with_others(current) if found else current
    text = {"uri": kept.uri, "since": kept.since, "on": sorted(kept.on), "off": sorted(kept.off)}
    atomic.replace(home / _FILE, json.dumps(text))
    return kept


def forget(home: Path) -> None:
    """It is over."""
    (home / _FILE).unlink(missing_ok=True)


def _read(home: Path, uri: str) -> Before | None:
    """The file, of this hypervisor: machines of another have nothing to do with it."""
    try:
        found = json.loads((home / _FILE).read_text("utf-8"))
        before = Before(
            found["uri"], found["since"], frozenset(found["on"]), frozenset(found["off"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return before if before.uri == uri else None
