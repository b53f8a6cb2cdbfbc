"""Keeps watch over the roots: which checkpoints are new, which are ready, what the others wait for.

Remembers between looks what need not be looked at again, so that a look costs one `stat` a run
however many checkpoints there are. All of it can be lost: it is made again from the disk and from
the keys that the graph knows.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from cloud_assets.models.contents import fingerprint_of, quoted
from cloud_assets.models.layout import Inspection, State, inspect
from cloud_assets.models.scan import (
    Found,
    Observation,
    default_quiet_seconds,
    list_run,
    observe,
    run_directories,
)
from cloud_assets.settings import Root
from resources.errors import ExternalError

#: A directory's mtime moves in steps: one as young as this when listed may hide a later change.
SETTLED_SECONDS = 2.0
#: What did not change for long is looked at less often: a tenth of its age, at most this.
LONGEST_PAUSE_SECONDS = 10.0
#: A run in which nothing came for this long is looked at with this pause, not at every look.
IDLE_SECONDS, IDLE_PAUSE_SECONDS = 3600.0, 1.0


@dataclass(frozen=True)
class Sighting:
    """A checkpoint that nobody asked for yet; `since` is when it last changed, Unix time.

    By its newest file, so that checkpoints found all at once are still taken in their order.
    """

    key: str
    inspection: Inspection
    since: float
    ready: bool


@dataclass(frozen=True)
class Look:
    """What one look found: ready to be requested, still waiting, and names that make no key.

    `unlisted` are the roots that could not be looked at, each with its error.
    """

    ready: tuple[Sighting, ...]
    waiting: tuple[Sighting, ...]
    unnamed: tuple[Found, ...]
    unlisted: tuple[ExternalError, ...] = ()


@dataclass(frozen=True)
class _Run:
    mtime_ns: int
    settled: bool
    next_stat: float
    found: tuple[Found, ...]
    unnamed: tuple[Found, ...]


@dataclass
class _Pending:
    found: Found
    observation: Observation | None = None
    sighting: Sighting | None = None
    next_look: float = 0.0


@dataclass
class Watch:
    """The watch over some roots; `known` are the keys already requested, with fingerprints.

    A fingerprint of None is asked of `recorded` when the checkpoint is looked at again.
    """

    roots: Sequence[Root]
    quiet_seconds: float | None
    known: dict[str, str | None]
    recorded: Callable[[str], str | None] = lambda key: None
    _runs: dict[Path, dict[str, _Run]] = field(default_factory=dict)
    _pending: dict[str, _Pending] = field(default_factory=dict)
    _revisits: deque[Found] = field(default_factory=deque)

    def look(self, now: float) -> Look:
        """Look once; a root that cannot be listed does not keep the others from being seen."""
        unlisted = []
        for root in self.roots:
            try:
                self._look_at(root, now)
            except ExternalError as error:
                unlisted.append(error)
        sightings = [self._judge(pending, now) for pending in list(self._pending.values())]
        present = [sighting for sighting in sightings if sighting is not None]
        return Look(
            ready=tuple(sorted((s for s in present if s.ready), key=lambda s: s.since)),
            waiting=tuple(s for s in present if not s.ready),
            unnamed=tuple(
                found
                for runs in self._runs.values()
                for run in runs.values()
                for found in run.unnamed
            ),
            unlisted=tuple(unlisted),
        )

    def requested(self, sighting: Sighting) -> None:
        """Take the checkpoint off the list; it comes back when its files change."""
        pending = self._pending.pop(sighting.key, None)
        self.known[sighting.key] = sighting.inspection.fingerprint
        if pending is not None:
            self._revisits.append(pending.found)

    def forget(self, keys: Iterable[str]) -> None:
        """Look at these anew, as if they had never been requested."""
        for key in keys:
            self.known.pop(key, None)
        self._runs.clear()
        self._revisits.clear()

    def revisit(self, count: int) -> None:
        """Compare `count` known checkpoints with what they were when they were requested."""
        for _ in range(min(count, len(self._revisits))):
            found = self._revisits.popleft()
            if self._same(found):
                self._revisits.append(found)

    def _look_at(self, root: Root, now: float) -> None:
        runs = self._runs.setdefault(root.path, {})
        listed = {run.name: run for run in run_directories(root.path)}
        for name in runs.keys() - listed.keys():
            self._drop(runs.pop(name).found, ())
        for name, entry in listed.items():
            run = runs.get(name)
            if run is None or now >= run.next_stat:
                with suppress(FileNotFoundError):
                    mtime_ns = entry.stat(follow_symlinks=False).st_mtime_ns
                    runs[name] = self._look_at_run(root, name, mtime_ns, run, now)

    def _look_at_run(
        self, root: Root, name: str, mtime_ns: int, before: _Run | None, now: float
    ) -> _Run:
        age = now - mtime_ns / 1e9
        next_stat = now + (IDLE_PAUSE_SECONDS if age > IDLE_SECONDS else 0.0)
        if before is not None and before.mtime_ns == mtime_ns and before.settled:
            return replace(before, next_stat=next_stat)
        found = tuple(list_run(root.path / name, root.model))
        self._take(before.found if before else (), found)
        unnamed = tuple(each for each in found if each.key is None)
        return _Run(mtime_ns, age > SETTLED_SECONDS, next_stat, found, unnamed)

    def _take(self, before: tuple[Found, ...], after: tuple[Found, ...]) -> None:
        """A run was listed anew: what is gone is dropped, what is new is pending."""
        self._drop(before, after)
        was = {found.directory for found in before}
        for found in after:
            if found.key is None:
                continue
            if str(found.key) not in self.known:
                self._pending.setdefault(str(found.key), _Pending(found))
            elif found.directory not in was:
                self._revisits.append(found)

    def _drop(self, before: tuple[Found, ...], after: tuple[Found, ...]) -> None:
        gone = {found.directory for found in before} - {found.directory for found in after}
        for key in [key for key, p in self._pending.items() if p.found.directory in gone]:
            del self._pending[key]

    def _judge(self, pending: _Pending, now: float) -> Sighting | None:
        if now < pending.next_look:
            return pending.sighting
        inspection = inspect(pending.found.directory)
        quiet = observe(
            pending.observation,
            inspection.fingerprint,
            now=now,
            quiet_seconds=self._quiet_seconds(pending.found.directory),
        )
        pending.observation = quiet.observation
        age = max(0.0, now - quiet.observation.since)
        # Never past the moment at which it may be ready.
        pause = min(LONGEST_PAUSE_SECONDS, age / 10, quiet.remaining or LONGEST_PAUSE_SECONDS)
        pending.next_look = now + pause
        final = inspection.state in (State.COMPLETE, State.REFUSED)
        newest = max((entry.mtime_ns for entry in inspection.files), default=None)
        since = quiet.observation.since if newest is None else newest / 1e9
        pending.sighting = Sighting(
            str(pending.found.key), inspection, since, final and quiet.ready
        )
        return pending.sighting

    def _quiet_seconds(self, directory: Path) -> float:
        if self.quiet_seconds is not None:
            return self.quiet_seconds
        return default_quiet_seconds(directory)

    def _same(self, found: Found) -> bool:
        """Whether a known checkpoint is what it was; if not it is pending again."""
        key = str(found.key)
        now_there = fingerprint_of(found.directory)
        if now_there is None:
            return os.path.isdir(found.directory)
        if self.known.get(key) is None:
            self.known[key] = self.recorded(key) or now_there
        if self.known[key] == now_there:
            return True
        del self.known[key]
        self._pending[key] = _Pending(found)
        return False


def waiting_for(look: Look) -> Mapping[str, str]:
    """What each checkpoint that is not ready waits for, by its key or its odd name.

    Names are made fit for a table: a lone surrogate of a mount's name could not be shown at all.
    """
    waits = {s.key: s.inspection.reason or "until nothing changes" for s in look.waiting}
    return waits | {
        "/".join(map(quoted, found.directory.parts[-3:])): found.refusal or ""
        for found in look.unnamed
    }
