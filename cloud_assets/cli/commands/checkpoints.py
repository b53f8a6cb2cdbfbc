"""`checkpoints`: why is it not serving yet? Once, or at every change."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from cloud_assets.cli import output
from cloud_assets.cli.progress import Progress, read_progress
from cloud_assets.settings_file import load_settings
from resources.dagster.graphql import DagsterGraphQL
from resources.errors import TransientError

COLUMNS = ("checkpoint", "stage", "state", "since")
SENTENCES = ("reason", "fix")
POLL_SECONDS = 1.0
#: Of checkpoint, stage, state and since where each change is a line; a longer key shifts its own.
WIDTHS = (32, 17, 8, 8)

Read = Callable[[], tuple[Progress, ...]]


def checkpoints(*, as_json: bool, watch: bool = False) -> None:
    settings = load_settings()
    graph = DagsterGraphQL(settings.dagster_url)
    if watch:
        follow(lambda: read_progress(settings, graph), as_json=as_json)
        return
    found = read_progress(settings, graph)
    if as_json:
        output.json_document([asdict(progress) for progress in found])
    elif found:
        output.records(COLUMNS, _records(found), as_json=False, sentences=SENTENCES)
    else:
        output.note("no checkpoint under " + ", ".join(str(root.path) for root in settings.roots))


def follow(read: Read, *, as_json: bool, poll_seconds: float = POLL_SECONDS) -> None:
    """Tell every change until interrupted: on a terminal a table that is redrawn, else lines.

    Raises TransientError when the platform does not answer at first; later it is asked again.
    """
    readings = _readings(read(), read, poll_seconds)
    if as_json:
        for row in _changes(readings):
            output.json_line(asdict(row))
    elif output.on_terminal():
        with output.live() as draw:
            for rows in readings:
                draw(output.listing(COLUMNS, _records(_lively_first(rows)), SENTENCES))
    else:
        output.line(output.aligned((*COLUMNS, *SENTENCES), WIDTHS))
        for row in _changes(readings):
            output.line(_line(row))


def _readings(
    first: tuple[Progress, ...], read: Read, poll_seconds: float
) -> Iterator[tuple[Progress, ...]]:
    yield first
    away = False
    while True:
        time.sleep(poll_seconds)
        try:
            rows = read()
        except TransientError as error:
            if not away:
                output.note(f"{error}; asking again")
            away = True
            continue
        away = False
        yield rows


def _changes(readings: Iterable[tuple[Progress, ...]]) -> Iterator[Progress]:
    """Each row that is new or says something else than before, and once each that is gone.

    A file that grows is no change, though it moves `since`.
    """
    told: dict[str, Progress] = {}
    for rows in readings:
        now = {row.checkpoint: row for row in rows}
        for name in sorted(told.keys() - now.keys()):
            yield replace(told.pop(name), state="gone", reason="", fix="")
        for name, row in now.items():
            saying = replace(row, since=None)
            if told.get(name) != saying:
                told[name] = saying
                yield row


def _lively_first(rows: Iterable[Progress]) -> list[Progress]:
    """What is under way on top: a terminal cuts off the end of a long table."""
    return sorted(rows, key=lambda row: row.settled)


def _records(rows: Sequence[Progress]) -> list[dict[str, Any]]:
    return [{**asdict(row), "since": _moment(row.since)} for row in rows]


def _moment(since: float | None) -> datetime | None:
    return datetime.fromtimestamp(since, UTC) if since else None


def _line(row: Progress) -> str:
    values = (row.checkpoint, row.stage, row.state, _moment(row.since), row.reason, row.fix)
    return output.aligned(values, WIDTHS)
