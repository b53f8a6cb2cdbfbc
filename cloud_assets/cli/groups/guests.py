"""`ssh` and `console`: into one machine."""

from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="A machine that `ai-how vm status` lists.")]


@app.command()
def ssh(
    name: Name,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND…]", help="What to run there; a shell without."),
    ] = None,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the command line; run nothing.")
    ] = False,
) -> None:
    """Log in to a machine at the address that it has now; ends as ssh does."""
    from cloud_assets.cli.commands.guests.ssh import ssh

    ssh(name, command or (), only_print=only_print)


@app.command()
def console(
    name: Name,
    lines: Annotated[
        int | None, typer.Option("--lines", "-n", min=1, help="Print so many lines of its log.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print its log as it grows, until it is off.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Take the console from whoever is at it.")
    ] = False,
) -> None:
    """Be at a machine's serial console until Ctrl-]; where there is no terminal print its log."""
    from cloud_assets.cli.commands.guests.console import console

    console(name, lines=lines, follow=follow, force=force)
