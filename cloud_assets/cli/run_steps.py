"""A run while it is waited for: a line for each thing that it says, as it comes.

Where Dagster runs it once more by itself, as after its process was killed, that run is followed.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloud_assets.cli import output
from cloud_assets.stages import (
    MACHINES_JOB,
    POWER_CUT_JOB,
    POWER_JOB,
    SNAPSHOT_JOB,
    SWITCH_JOB,
    SYSTEM_JOB,
)
from resources.dagster.graphql import DagsterGraphQL, Run
from resources.dagster.run_log import Said
from resources.errors import PermanentError, TransientError

_POLL_SECONDS = 0.3
#: How long the webserver may be away, as while it is started again.
_AWAY_SECONDS = 30.0
#: How long a run may be in the queue until it is told what it waits for.
_QUEUE_SECONDS = 3.0
_WILL_RETRY, _RETRY_RUN = "dagster/will_retry", "dagster/auto_retry_run_id"
#: Dagster tags a failed run a moment after it failed, and then starts the next.
_TAG_SECONDS, _RETRY_SECONDS = 3.0, 60.0
_TOLD = frozenset({"INFO", "WARNING", "ERROR", "CRITICAL"})
#: They hold the machines one after the other.
_IN_TURN = frozenset({MACHINES_JOB, POWER_JOB, SNAPSHOT_JOB, SWITCH_JOB, SYSTEM_JOB, POWER_CUT_JOB})


@dataclass
class Steps:
    """Tells each line as it comes, with the seconds since the last one of the same machine."""

    _last: dict[str, tuple[str, float]] = field(default_factory=dict)

    def tell(self, text: str, moment: float | None = None) -> None:
        """`text` begins with its machine and a colon; told again only where it differs."""
        now = time.time() if moment is None else moment
        about = text.partition(": ")[0]
        said, since = self._last.get(about, ("", now))
        if said != text:
            self._last[about] = (text, now)
            seconds = now - since
            output.note(f"{text} ({seconds:.0f} s)" if seconds >= 1 else text)


@dataclass(frozen=True)
class Ended:
    """A run that is over, and what its steps gave out beside assets."""

    run: Run
    given: Mapping[str, Any]


@dataclass
class _Following:
    graph: DagsterGraphQL
    run_id: str
    steps: Steps = field(default_factory=Steps)
    cursor: str | None = None
    given: dict[str, Any] = field(default_factory=dict)
    queued_since: float = field(default_factory=time.monotonic)
    waits_for: str = ""

    def look(self) -> Run | None:
        """The run where it has ended; what it said since is told."""
        run = self.graph.run(self.run_id)
        has_more = True
        while has_more:
            page = self.graph.log(self.run_id, self.cursor)
            self.cursor, has_more = page.cursor, page.has_more
            for each in page.said:
                self._take(each)
        if run is not None and run.status == "QUEUED":
            self._tell_queue()
        return run if run is not None and run.finished else None

    def go_on_with(self, run_id: str) -> None:
        self.run_id, self.cursor, self.given = run_id, None, {}
        self.queued_since = time.monotonic()

    def _take(self, said: Said) -> None:
        if said.kind == "LogMessageEvent" and said.level in _TOLD:
            self.steps.tell(said.text, said.timestamp)
        elif said.kind == "ExecutionStepUpForRetryEvent":
            self.steps.tell(f"{said.step}: tried again, {said.text.splitlines()[0]}")
        elif said.kind == "ExecutionStepOutputEvent":
            self.given.update(said.metadata)

    def _tell_queue(self) -> None:
        if self.waits_for or time.monotonic() - self.queued_since < _QUEUE_SECONDS:
            return
        before = [each for each in self.graph.runs() if _holds_up(each, self.run_id)]
        self.waits_for = "Dagster's daemon, which `ai-how status` lists"
        if before:
            self.waits_for = f"{before[-1].job}, run {before[-1].run_id}"
        output.note(f"it waits for {self.waits_for}")


def follow(graph: DagsterGraphQL, run_id: str, *, poll_seconds: float = _POLL_SECONDS) -> Ended:
    """The run when it has ended. An interrupt leaves it going, and says where it is seen."""
    following = _Following(graph, run_id)
    heard = time.monotonic()
    try:
        while True:
            try:
                ended = following.look()
                again = _retry(graph, ended) if ended else ""
                heard = time.monotonic()
            except TransientError:
                if time.monotonic() - heard > _AWAY_SECONDS:
                    _say_where(graph, following.run_id)
                    raise
                ended, again = None, ""
            if again:
                output.note(f"its process ended before its work was done; run {again} goes on")
                following.go_on_with(again)
            elif ended:
                return Ended(ended, following.given)
            time.sleep(poll_seconds)
    except KeyboardInterrupt:
        _say_where(graph, following.run_id)
        raise


def require_success(graph: DagsterGraphQL, ended: Ended, action: str) -> None:
    """Raises PermanentError with its reason, and what would mend it, unless it succeeded."""
    run = ended.run
    if run.status == "SUCCESS":
        return
    failed, where = graph.failed(run.run_id), f"{graph.url}/runs/{run.run_id}"
    hint = f"{failed.fix}; the run: {where}" if failed.fix else where
    raise PermanentError("the graph", action, failed.reason, hint=hint)


def _say_where(graph: DagsterGraphQL, run_id: str) -> None:
    output.note(f"the run goes on: {graph.url}/runs/{run_id}")


def _retry(graph: DagsterGraphQL, run: Run) -> str:
    """The run that does a failed one's work once more, "" where none does."""
    if run.status != "FAILURE":
        return ""
    end = time.monotonic() + _TAG_SECONDS
    found: Run | None = run
    while found is not None and time.monotonic() < end:
        said = found.tags.get(_WILL_RETRY)
        if said == "false":
            return ""
        if _RETRY_RUN in found.tags:
            return found.tags[_RETRY_RUN]
        if said == "true" and found is run:
            end = time.monotonic() + _RETRY_SECONDS
        time.sleep(_POLL_SECONDS)
        found = graph.run(run.run_id)
    return ""


def _holds_up(run: Run, waiting: str) -> bool:
    return (
        run.job in _IN_TURN
        and run.run_id != waiting
        and run.status not in ("QUEUED",)
        and (not run.finished)
    )
