"""The only printer: data to stdout, everything else to stderr, the same meaning without colour."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from resources.errors import AiHowError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

#: Colour by the word itself, so that nothing is said by colour alone.
STYLES = {
    "promoted": "bold green", "serving": "bold green", "pass": "green", "running": "green",
    "rejected": "red", "refused": "red", "fail": "red", "failed": "red", "stopped": "red",
    "held": "yellow", "waiting": "yellow", "undecided": "yellow", "starting": "yellow",
}  # fmt: skip

PIPE_WIDTH = 10_000


def json_document(document: object) -> None:
    print(json.dumps(document, indent=2, default=str))


def line(text: str) -> None:
    """One line of data."""
    print(text)


def piece(text: str) -> None:
    """A piece of a streamed answer, shown at once."""
    print(text, end="", flush=True)


def note(text: str) -> None:
    """One line for the person, not for the pipe."""
    print(text, file=sys.stderr, flush=True)


def error(problem: AiHowError) -> None:
    print(f"error: {problem}", file=sys.stderr)
    if problem.hint:
        print(f"\nhint: {problem.hint}", file=sys.stderr)


def console(*, stderr: bool = False) -> "Console":
    """As wide as the terminal; in a pipe as wide as the rows, so that each stays on its line."""
    from rich.console import Console

    found = Console(stderr=stderr, highlight=False, emoji=False)
    if not found.is_terminal:
        found.width = PIPE_WIDTH
    return found


def build_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    # It names the row and is copied into the next command; the other columns wrap for it.
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell.split(" ")[0], "")) for cell in row))
    return table


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    console().print(build_table(columns, rows))


def records(columns: Sequence[str], found: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """A table of the named fields, or the whole records as JSON."""
    if as_json:
        json_document(list(found))
    else:
        table(
            [column.replace("_", " ") for column in columns],
            [[_cell(record.get(column)) for column in columns] for record in found],
        )


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone().strftime("%H:%M:%S")
    return str(value)
