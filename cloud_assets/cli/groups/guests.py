"""`ssh`: into one machine."""

from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="A machine that `ai-how vm status` lists.")]


@app.command()
def ssh(
    name: Name,
    command: Annotated[
        list[str] | None, typer.Argument(help="What to run there, after `--`; a shell without.")
    ] = None,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the command line; run nothing.")
    ] = False,
) -> None:
    """Log in to a machine at the address that it has now; ends as ssh does."""
    from cloud_assets.cli.commands.guests.ssh import ssh

    ssh(name, command or (), only_print=only_print)
