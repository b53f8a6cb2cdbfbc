"""Arguments and options that several commands take."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
Config = Annotated[Path | None, typer.Argument(help="The file; by default that in force.")]

Unasked = Annotated[bool, typer.Option("--force", help="Do not ask first.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the run.")]

SkipPreflight = Annotated[
    bool, typer.Option("--skip-preflight", help="Do not look first at what the host lacks.")
]


def group(sentence: str) -> typer.Typer:
    """Commands below one word, which alone shows its help."""
    return typer.Typer(help=sentence, no_args_is_help=True, rich_markup_mode=None)


def asking(unasked: bool) -> Callable[[str], bool]:
    """Whether a person says yes to a sentence; on standard error, and not asked where `unasked`."""
    return lambda told: unasked or typer.confirm(told, err=True)
