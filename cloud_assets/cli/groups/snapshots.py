"""`snapshot`: machines as they are now, and back to how they were."""

from enum import StrEnum
from typing import Annotated

import typer

from cloud_assets.cli.groups.options import Json, Unasked, asking, group

app = group("Snapshots of one machine, or of all machines of a cluster under one name.")


class Kind(StrEnum):
    """Which cluster."""

    HPC = "hpc"
    CLOUD = "cloud"


Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[VM] [NAME]", help="The machine, left out with `--cluster`; then the snapshot."
    ),
]
Cluster = Annotated[
    Kind | None, typer.Option("--cluster", help="All machines of this cluster that were made.")
]


@app.command("create")
def create(
    words: Words = None,
    cluster: Cluster = None,
    description: Annotated[str, typer.Option("--description", help="What it is for.")] = "",
    as_json: Json = False,
) -> None:
    """Keep disks as they are, of machines that run their memory too; named by the time else."""
    from cloud_assets.cli.commands.guests.snapshots import create

    create(words or (), cluster or "", description=description, as_json=as_json)


@app.command("list")
def listed(words: Words = None, cluster: Cluster = None, as_json: Json = False) -> None:
    """List snapshots, oldest first."""
    from cloud_assets.cli.commands.guests.snapshots import listed

    listed(words or (), cluster or "", as_json=as_json)


@app.command("revert")
def revert(
    words: Words = None,
    cluster: Cluster = None,
    force: Unasked = False,
    as_json: Json = False,
) -> None:
    """Have machines as they were, on or off; to the newest snapshot where none is named."""
    from cloud_assets.cli.commands.guests.snapshots import revert

    revert(
        words or (), cluster or "", as_json=as_json,
        confirmed=asking(force),
    )  # fmt: skip


@app.command("delete")
def delete(words: Words = None, cluster: Cluster = None, as_json: Json = False) -> None:
    """Delete a snapshot; machines stay as they are."""
    from cloud_assets.cli.commands.guests.snapshots import delete

    delete(words or (), cluster or "", as_json=as_json)
