"""The reference page of `ai-how`, from its typer application."""

from typing import Any

import typer

from cloud_assets.cli.main import app
from docs.tables import GENERATED, sentence, table

#: Click's own classes, or those of the copy that typer carries: neither is a promise of typer's.
Command = Any
Parameter = Any

INTRODUCTION = """\
Data goes to standard output, everything else to standard error. Commands that print data take
`--json`. What changes the world is a run in Dagster; the command asks for it and waits.

The exit code is 0 for success, 1 for a failure, 2 for a request or a settings file that is wrong, 3
from `plan` and `gpu conflicts` where something is not as the file says.
An error is one line, `error: …`, and a `hint: …` says what would mend it.
"""


def command_page() -> str:
    """The page as Markdown."""
    group = typer.main.get_command(app)
    lines = [GENERATED, "", "# Command", "", sentence(group.help or ""), "", INTRODUCTION.strip()]
    lines += _parameters(group)
    for name, command in sorted(_commands(group).items()):
        lines += ["", f"## `{name}`", "", sentence(command.help or ""), ""]
        lines += ["```text", _usage(name, command), "```"]
        lines += _parameters(command)
    return "\n".join(lines) + "\n"


def commands() -> frozenset[str]:
    """The names of all commands."""
    return frozenset(_commands(typer.main.get_command(app)))


def _commands(group: Command, before: str = "") -> dict[str, Command]:
    """By the words that call them; a group is its commands."""
    found: dict[str, Command] = {}
    for name, each in vars(group)["commands"].items():
        inner = "commands" in vars(each)
        words = f"{before}{name}"
        found |= _commands(each, f"{words} ") if inner else {words: each}
    return found


def _usage(name: str, command: Command) -> str:
    options = ["[OPTIONS]"] if any(map(_is_option, command.params)) else []
    arguments = [_argument(each) for each in command.params if not _is_option(each)]
    return " ".join(["ai-how", name, *options, *arguments])


def _is_option(parameter: Parameter) -> bool:
    return bool(parameter.param_type_name == "option")


def _argument(parameter: Parameter) -> str:
    if parameter.metavar:
        return str(parameter.metavar)
    return (parameter.name or "").upper() + ("…" if parameter.nargs == -1 else "")


def _parameters(command: Command) -> list[str]:
    rows = [_row(parameter) for parameter in command.params]
    return ["", *table(("argument or option", "meaning", "default"), rows)] if rows else []


def _row(parameter: Parameter) -> tuple[str, str, str]:
    name = ", ".join(f"`{each}`" for each in parameter.opts)
    if not _is_option(parameter):
        name = f"`{_argument(parameter)}`"
    meaning = sentence(str(getattr(parameter, "help", None) or ""))
    variable = parameter.envvar
    if isinstance(variable, str):
        meaning += f" Environment: `{variable}`."
    plain = parameter.default in (None, False, "") or parameter.required
    return name, meaning, "" if plain else f"`{parameter.default}`"
