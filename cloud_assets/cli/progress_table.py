"""The live table of checkpoints: a row each, a column a stage; plain lines where nobody watches."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloud_assets.cli import output
from cloud_assets.cli.progress import Progress
from cloud_assets.stages import STAGES
from resources.errors import TransientError

if TYPE_CHECKING:
    from rich.table import Table

POLL_SECONDS = 0.5
HEADINGS = {
    "checkpoint": "checked",
    "model_artifact": "stored",
    "registered_model": "registered",
    "inference_service": "served",
    "quality_report": "quality",
    "benchmark_report": "load test",
    "release": "release",
}


@dataclass
class WatchedTable:
    """The rows as last read, drawn as they change."""

    read: Callable[[], tuple[Progress, ...]]
    drawn: Callable[["Table"], None] | None
    rows: tuple[Progress, ...] = ()
    _told: dict[str, tuple[str, str]] = field(default_factory=dict)

    def until(self, done: Callable[[tuple[Progress, ...]], bool], patience: float) -> None:
        """Read and draw until `done`. Raises TransientError after `patience` seconds."""
        end = time.monotonic() + patience
        while True:
            self.rows = self.read()
            self._show()
            if done(self.rows):
                return
            if time.monotonic() > end:
                raise TransientError(
                    "the platform", "settle all checkpoints", f"it took over {patience:.0f} s",
                    hint="`ai-how checkpoints` says what each waits for",
                )  # fmt: skip
            time.sleep(POLL_SECONDS)

    def _show(self) -> None:
        if self.drawn is not None:
            self.drawn(draw(self.rows))
            return
        for row in self.rows:
            now = (row.stage, row.state)
            if self._told.get(row.checkpoint) != now:
                self._told[row.checkpoint] = now
                output.note(f"{row.checkpoint}: {row.stage} {row.state} {row.reason}".rstrip())


@contextmanager
def watched(read: Callable[[], tuple[Progress, ...]]) -> Iterator[WatchedTable]:
    """A table that is drawn in place on a terminal, and told line by line elsewhere."""
    if not sys.stderr.isatty():
        yield WatchedTable(read, None)
        return
    with output.live(stderr=True) as drawn:
        yield WatchedTable(read, drawn)


def draw(rows: tuple[Progress, ...]) -> "Table":
    columns = ("checkpoint", *HEADINGS.values(), "outcome")
    return output.build_table(columns, [_cells(row) for row in rows])


def _cells(row: Progress) -> list[str]:
    stages = [_cell(row, stage) for stage in STAGES]
    outcome = f"{row.state}  {row.reason}".rstrip() if row.settled or row.reason else row.state
    return [row.checkpoint, *stages, outcome]


def _cell(row: Progress, stage: str) -> str:
    if stage in row.seconds:
        return f"{row.seconds[stage]:.1f} s"
    return "…" if stage == row.stage and row.state == "running" else ""
