"""`system`: all clusters of the file together."""

from enum import StrEnum
from typing import Annotated

import typer

from cloud_assets.cli.groups.machines import Force, NoDrain
from cloud_assets.cli.groups.options import (
    Config,
    Json,
    Reason,
    SkipPreflight,
    Unasked,
    asking,
    group,
)

app = group("All clusters of virtual machines together.")


class Form(StrEnum):
    """How it is printed."""

    TEXT = "text"
    JSON = "json"


@app.command("start")
def system_start(
    config: Config = None,
    skip_preflight: SkipPreflight = False,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Start the HPC cluster, then the cloud; where that fails, put back what was before."""
    from cloud_assets.cli.commands.machines.system import start

    start(config, preflight=not skip_preflight, reason=reason, as_json=as_json)


@app.command("stop")
def system_stop(
    config: Config = None,
    force: Force = False,
    no_drain: NoDrain = False,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Stop the cloud, then the HPC cluster, their nodes emptied before."""
    from cloud_assets.cli.commands.machines.system import stop

    stop(config, force=force, drain=not no_drain, reason=reason, as_json=as_json)


@app.command("status")
def system_status(
    config: Config = None,
    form: Annotated[Form, typer.Option("--format", "-f", help="How to print it.")] = Form.TEXT,
    as_json: Json = False,
) -> None:
    """Say how the whole stands: not_configured, stopped, running, mixed or error."""
    from cloud_assets.cli.commands.machines.system import status

    status(config, as_json=as_json or form is Form.JSON)


@app.command("destroy")
def system_destroy(
    config: Config = None,
    force: Unasked = False,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Remove all clusters with their disks, pools and networks; consoles are kept."""
    from cloud_assets.cli.commands.machines.system import destroy

    destroy(
        config, confirmed=asking(force),
        reason=reason, as_json=as_json,
    )  # fmt: skip
