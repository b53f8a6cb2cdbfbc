"""The only printer: data to stdout, everything else to stderr, the same meaning without colour."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from resources.errors import AiHowError

if TYPE_CHECKING:
    from rich.console import Console, Group, RenderableType
    from rich.table import Table
    from rich.text import Text
    from rich.tree import Tree

#: Colour by the word itself, so that nothing is said by colour alone.
STYLES = {
    "promoted": "bold green", "serving": "bold green", "pass": "green", "running": "green",
    "rejected": "red", "refused": "red", "fail": "red", "failed": "red", "stopped": "red",
    "held": "yellow", "waiting": "yellow", "undecided": "yellow", "starting": "yellow",
    "absent": "yellow", "off": "yellow", "crashed": "red", "paused": "yellow", "warn": "yellow",
    "partial": "yellow", "conflict": "bold red",
}  # fmt: skip

CHANGES = {"+": "green", "~": "yellow", "-": "red", "-/+": "bold red", "withheld:": "magenta"}

PIPE_WIDTH = 10_000

#: The exit status where something is not as the file says.
DRIFT = 3


@dataclass(frozen=True)
class Branch:
    """A line of a tree, a state before it where there is one, and the lines below it."""

    text: str
    below: Sequence["Branch"] = ()
    state: str = ""


def json_document(document: object) -> None:
    print(json.dumps(document, indent=2, default=str))


def json_line(document: object) -> None:
    """A document on one line, there at once."""
    print(json.dumps(document, default=str), flush=True)


def line(text: str) -> None:
    """One line of data, there at once."""
    print(f"{text}\n", end="", flush=True)


def changed_line(text: str) -> None:
    """A line of a plan, in the colour of the sign that it begins with."""
    from rich.text import Text

    console().print(Text(text, CHANGES.get(text.strip().split(" ")[0], "")), soft_wrap=True)


def piece(text: str) -> None:
    """A piece of a streamed answer, shown at once."""
    print(text, end="", flush=True)


def raw(written: bytes) -> None:
    """Bytes as they come, there at once."""
    sys.stdout.buffer.write(written)
    sys.stdout.buffer.flush()


def note(text: str) -> None:
    """One line for the person, not for the pipe."""
    # In one piece: several threads tell of their machines.
    print(f"{text}\n", end="", file=sys.stderr, flush=True)


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


def on_terminal() -> bool:
    """Whether data goes to somebody's screen."""
    return console().is_terminal


@contextmanager
def live(*, stderr: bool = False) -> Iterator[Callable[["RenderableType"], None]]:
    """Draws what it is given in place of what it was given before."""
    from rich.live import Live

    with Live(console=console(stderr=stderr), auto_refresh=False) as screen:
        yield lambda drawn: screen.update(drawn, refresh=True)


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


def trees(found: Iterable[Branch]) -> None:
    """Each with its branches below it."""
    from rich.tree import Tree

    for each in found:
        console().print(_grown(Tree(_branch(each, "bold")), each.below), soft_wrap=True)


def _grown(tree: "Tree", below: Iterable[Branch]) -> "Tree":
    for each in below:
        _grown(tree.add(_branch(each, "")), each.below)
    return tree


def _branch(each: Branch, style: str) -> "Text":
    from rich.text import Text

    line = Text()
    if each.state:
        line.append_text(_styled(each.state)).append(" ")
    return line.append(cell(each.text), style)


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
    elif sentences and on_terminal():
        _print_listing(listing(columns, found, sentences))
    else:
        every = (*columns, *sentences)
        table(
            [column.replace("_", " ") for column in every],
            [[cell(record.get(column)) for column in every] for record in found],
        )


def listing(
    columns: Sequence[str], found: Sequence[Mapping[str, Any]], sentences: Sequence[str]
) -> "Group":
    """A line a record and its sentences below; where the terminal is too narrow, lines wrap."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    rows = [[cell(record.get(column)) for column in columns] for record in found]
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    lines: list[RenderableType] = [_aligned([Text(each, "bold") for each in columns], widths)]
    for record, row in zip(found, rows, strict=True):
        lines.append(_aligned(map(_styled, row), widths))
        told = [(name, cell(record.get(name))) for name in sentences]
        lines += [Padding(Text(f"{name}: {text}"), (0, 0, 0, 2)) for name, text in told if text]
    return Group(*lines)


def _print_listing(listed: "Group") -> None:
    """Long lines are left to the terminal to wrap: a key that is copied has no line break then."""
    from rich.text import Text

    screen = console()
    for each in listed.renderables:
        screen.print(each, soft_wrap=isinstance(each, Text))


def aligned(values: Sequence[object], widths: Sequence[int]) -> str:
    """The values on one line, each as wide as `widths` says and the last ones as they are."""
    cells = [cell(value) for value in values]
    padded = [text.ljust(width) for text, width in zip(cells, widths, strict=False)]
    return "  ".join([*padded, *cells[len(widths) :]]).rstrip()


def _aligned(cells: Iterable["Text"], widths: Iterable[int]) -> "Text":
    from rich.text import Text

    line = Text(overflow="fold")
    for text, width in zip(cells, widths, strict=True):
        line.append_text(text).append(" " * (width - len(text) + 2))
    line.rstrip()
    return line


def _styled(word: str) -> "Text":
    from rich.text import Text

    return Text(word, style=STYLES.get(word.split(" ")[0], ""))


def cell(value: object) -> str:
    """One line: moments as local time, other things as they are written."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone().strftime("%H:%M:%S")
    # Without what would steer a terminal: a server's last words are hostile.
    words = " ".join(str(value).split())
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in words)
