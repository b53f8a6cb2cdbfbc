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
    from rich.text import Text

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

    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    # It names the row and is copied into the next command; the other columns wrap for it.
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*map(_styled, row))
    return table


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    console().print(build_table(columns, rows))


def records(
    columns: Sequence[str],
    found: Sequence[Mapping[str, Any]],
    *,
    as_json: bool,
    sentences: Sequence[str] = (),
) -> None:
    """A table of the named fields, or the whole records as JSON.

    `sentences` are fields that hold one: on a terminal they stand below their row, where they have
    the whole width, in a pipe they are the last columns.
    """
    if as_json:
        json_document(list(found))
    elif sentences and console().is_terminal:
        _rows_with_sentences(columns, sentences, found)
    else:
        every = (*columns, *sentences)
        table(
            [column.replace("_", " ") for column in every],
            [[_cell(record.get(column)) for column in every] for record in found],
        )


def _rows_with_sentences(
    columns: Sequence[str], sentences: Sequence[str], found: Sequence[Mapping[str, Any]]
) -> None:
    from rich.padding import Padding
    from rich.text import Text

    screen = console()
    rows = [[_cell(record.get(column)) for column in columns] for record in found]
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    screen.print(_aligned([Text(each, "bold") for each in columns], widths), soft_wrap=True)
    for record, row in zip(found, rows, strict=True):
        screen.print(_aligned(map(_styled, row), widths), soft_wrap=True)
        for name in sentences:
            if record.get(name):
                screen.print(Padding(Text(f"{name}: {record[name]}"), (0, 0, 0, 2)))


def _aligned(cells: Iterable["Text"], widths: Iterable[int]) -> "Text":
    from rich.text import Text

    line = Text()
    for cell, width in zip(cells, widths, strict=True):
        line.append_text(cell).append(" " * (width - len(cell) + 2))
    line.rstrip()
    return line


def _styled(cell: str) -> "Text":
    from rich.text import Text

    return Text(cell, style=STYLES.get(cell.split(" ")[0], ""))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone().strftime("%H:%M:%S")
    return str(value)
