"""How far each checkpoint came and why not further: what is on disk, what ran, what was decided."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloud_assets.settings import Settings
from cloud_assets.stages import (
    BENCH_TAG,
    PARTITION_TAG,
    RELEASE,
    RELEASE_JOB,
    STAGES,
    WAITS_TAG,
)
from resources.dagster.graphql import DagsterGraphQL, Event, Run, Step

if TYPE_CHECKING:
    from cloud_assets.models.scan import Found

RUNS_READ = 500
ACTIVE = frozenset({"STARTING", "STARTED", "CANCELING", "NOT_STARTED", "QUEUED"})


@dataclass(frozen=True)
class Progress:
    """One checkpoint, or a directory that is none; `since` is Unix time.

    `seconds` is how long each ended stage took, `layout` that of files that no run came of.
    """

    checkpoint: str
    stage: str
    state: str
    reason: str = ""
    fix: str = ""
    since: float | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    run_id: str = ""
    layout: str = ""

    @property
    def settled(self) -> bool:
        """Whether the platform is done with it, for good or until somebody acts."""
        return self.state in {"serving", "promoted", "rejected", "held"}


def read_progress(settings: Settings, graph: DagsterGraphQL) -> tuple[Progress, ...]:
    """Every checkpoint on disk and in the graph, by key; what has no run is judged where it lies.

    Raises TransientError when the platform does not answer.
    """
    runs = _newest(graph.runs(limit=RUNS_READ))
    releases = _newest_events(graph.events(RELEASE, limit=RUNS_READ))
    serving = _serving(settings)
    known = [
        _of_run(key, run, releases.get(key), graph, key in serving)
        for key, run in sorted(runs.items())
    ]
    return (*known, *_on_disk(settings, runs.keys()))


def _newest(runs: Iterable[Run]) -> dict[str, Run]:
    """The newest run of each checkpoint through all stages; `runs` come newest first.

    Who measures, promotes or rolls back by hand waits for that run: what came of it is a release,
    and one that failed leaves things as they were.
    """
    found: dict[str, Run] = {}
    for run in runs:
        key = run.tags.get(PARTITION_TAG)
        if key and run.job == RELEASE_JOB and run.whole and BENCH_TAG not in run.tags:
            found.setdefault(key, run)
    return found


def _newest_events(events: Iterable[Event]) -> dict[str, Event]:
    found: dict[str, Event] = {}
    for event in events:
        found.setdefault(event.partition, event)
    return found


def _serving(settings: Settings) -> frozenset[str]:
    from resources.gateway import routes as gateway_routes

    table = gateway_routes.read(settings.home / "gateway" / "routes.json")
    return frozenset(entry.route.key for entry in table.values())


def _of_run(
    key: str, run: Run, release: Event | None, graph: DagsterGraphQL, serves: bool
) -> Progress:
    seconds = {
        step.name: step.ended - step.started
        for step in run.steps
        if step.started is not None and step.ended is not None
    }
    if run.status in ACTIVE:
        stage, state = _current(run)
        return Progress(key, stage, state, run.tags.get(WAITS_TAG, ""),
                        since=run.started or run.created, seconds=seconds,
                        run_id=run.run_id)  # fmt: skip
    if release is not None and release.timestamp >= (run.started or run.created) - 1:
        return _decided(key, run, release, serves, seconds)
    last = next((step for step in reversed(run.steps) if step.status == "FAILURE"), None)
    return Progress(
        key, last.name if last else "run", "failed", graph.failure(run.run_id),
        "it is tried again by itself, or see the run in the UI", run.ended, seconds, run.run_id,
    )  # fmt: skip


def _current(run: Run) -> tuple[str, str]:
    if run.status == "QUEUED":
        return "queue", "waiting"
    under_way: Iterable[Step] = (step for step in run.steps if step.status == "IN_PROGRESS")
    step = next(iter(under_way), None)
    return (step.name if step else "start"), "running"


def _decided(
    key: str, run: Run, release: Event, serves: bool, seconds: Mapping[str, float]
) -> Progress:
    outcome = str(release.metadata.get("outcome", ""))
    reasons = release.metadata.get("reasons") or []
    return Progress(
        checkpoint=key,
        stage=RELEASE,
        state="serving" if serves else outcome,
        reason="; ".join(reasons) if isinstance(reasons, list) else str(reasons),
        fix=str(release.metadata.get("fix") or ""),
        since=release.timestamp,
        seconds=seconds,
        run_id=run.run_id,
    )


def _on_disk(settings: Settings, known: Iterable[str]) -> Iterable[Progress]:
    """The directories below the roots that no run came of, each with what it waits for."""
    from cloud_assets.models.scan import list_checkpoints
    from cloud_assets.models.unwatched import list_unwatched
    from resources.errors import ExternalError

    seen = frozenset(known)
    for root in settings.roots:
        try:
            found = sorted(list_checkpoints(root.path, root.model), key=lambda f: f.directory)
            others = sorted(list_unwatched(root.path), key=lambda other: other.place)
        except ExternalError as error:
            yield Progress(str(root.path), "watch", "failed", error.reason, error.hint or "")
            continue
        yield from (_without_run(each) for each in found if str(each.key) not in seen)
        for other in others:
            yield Progress(
                other.place, "watch", other.state, other.reason, other.fix, layout=other.layout
            )


def _without_run(found: "Found") -> Progress:
    from cloud_assets.models.contents import quoted
    from cloud_assets.models.layout import State, inspect

    if found.key is None:
        place = quoted(f"{found.run}/{found.directory.name}")
        return Progress(place, "watch", "refused", found.refusal or "", found.fix or "")
    look = inspect(found.directory)
    changed = max((entry.mtime_ns for entry in look.files), default=None)
    return Progress(
        str(found.key), STAGES[0],
        "waiting" if look.state is State.COMPLETE else look.state.value,
        look.reason or "complete; it is taken once nothing changes",
        look.fix, changed / 1e9 if changed else None, layout=look.layout,
    )  # fmt: skip


def wait_for_run(graph: DagsterGraphQL, run_id: str, *, poll_seconds: float = 0.3) -> Run:
    """The run when it has ended."""
    while True:
        run = graph.run(run_id)
        if run is not None and run.finished:
            return run
        time.sleep(poll_seconds)
