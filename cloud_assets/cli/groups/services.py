"""`services`: the MLOps services on the cluster."""

from typing import Annotated

import typer

from cloud_assets.cli.groups.options import Json, group

app = group("The MLOps services on the cluster.")


@app.command("status")
def services_status(as_json: Json = False) -> None:
    """Say of every service of the platform how it stands, and why where it does not run."""
    from cloud_assets.cli.commands.services import status

    status(as_json=as_json)


@app.command("apply")
def services_apply(
    names: Annotated[
        list[str] | None, typer.Argument(help="Services that the settings name; all without.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask the cluster what would change; change nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make the services what the settings say, wait until they are up and try them out."""
    from cloud_assets.cli.commands.services import apply

    apply(names or (), dry_run=dry_run, as_json=as_json)
