"""`plan`, `vm`, `hpc` and `cloud`: virtual machines, all of them, one, and those of a cluster."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from cloud_assets.cli.groups.options import (
    Config,
    Json,
    Reason,
    SkipPreflight,
    Unasked,
    asking,
    group,
)

plan_app = group("What has to change so that the host has what the file asks for.")
vm_app = group("Single virtual machines, by the name that libvirt has for them.")


Kind = Literal["hpc", "cloud"]


class Form(StrEnum):
    """How a plan is printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


Name = Annotated[str, typer.Argument(help="A machine that `ai-how vm status` lists.")]
Force = Annotated[bool, typer.Option("--force", help="Cut the power instead of asking the guest.")]
NoDrain = Annotated[
    bool,
    typer.Option("--no-drain", help="Do not empty nodes first; jobs and pods end as they are."),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until it answers.")]
Format = Annotated[Form, typer.Option("--format", "-f", help="How to print it.")]
Target = Annotated[Path | None, typer.Option("--output", "-o", help="Where to write it.")]
AllowDataLoss = Annotated[
    bool,
    typer.Option("--allow-data-loss", help="New disks where images or sizes ask for them."),
]
Prune = Annotated[bool, typer.Option("--prune", help="Remove what the file has no more.")]


@plan_app.command("clusters")
def plan_clusters(
    config: Config = None,
    form: Format = Form.TEXT,
    target: Target = None,
    allow_data_loss: AllowDataLoss = False,
    prune: Prune = False,
) -> None:
    """Say what differs, with old and new values; ends with 3 where anything does."""
    _plan(config, form, target, whole=False, allowed=(allow_data_loss, prune))


@plan_app.command("show")
def plan_show(config: Config = None, form: Format = Form.TEXT, target: Target = None) -> None:
    """The same with all that is as it should be."""
    _plan(config, form, target, whole=True, allowed=(False, False))


def _plan(
    config: Path | None, form: Form, target: Path | None, *, whole: bool, allowed: tuple[bool, bool]
) -> None:
    from cloud_assets.cli.commands.machines.plan import plan
    from cloud_assets.machines.plan import Options

    options = Options(*allowed)
    raise typer.Exit(plan(config, form=form.value, target=target, whole=whole, options=options))


@vm_app.command("status")
def vm_status(
    name: Annotated[str | None, typer.Argument(help="One machine; all without.")] = None,
    as_json: Json = False,
) -> None:
    """Say how machines stand, and at which address they are."""
    from cloud_assets.cli.commands.machines.vm import status

    status(name, as_json=as_json)


@vm_app.command("start")
def vm_start(
    name: Name, no_wait: NoWait = False, reason: Reason = "", as_json: Json = False
) -> None:
    """Start a machine and wait until its guest agent or its SSH server answers."""
    from cloud_assets.cli.commands.machines.vm import start

    start(name, wait=not no_wait, reason=reason, as_json=as_json)


@vm_app.command("stop")
def vm_stop(name: Name, force: Force = False, reason: Reason = "", as_json: Json = False) -> None:
    """Press a machine's power button, and cut it off where it does not react."""
    from cloud_assets.cli.commands.machines.vm import stop

    stop(name, force=force, reason=reason, as_json=as_json)


@vm_app.command("restart")
def vm_restart(
    name: Name,
    force: Force = False,
    no_wait: NoWait = False,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Stop a machine and start it, by which it takes up what was changed of it."""
    from cloud_assets.cli.commands.machines.vm import restart

    restart(name, force=force, wait=not no_wait, reason=reason, as_json=as_json)


def _cluster(kind: Kind, noun: str) -> typer.Typer:
    app = group(f"The {noun} of virtual machines.")
    _add_start_and_status(app, kind)
    _add_stop_and_destroy(app, kind)
    return app


def _add_start_and_status(app: typer.Typer, kind: Kind) -> None:
    @app.command("start")
    def start(
        config: Config = None,
        allow_data_loss: AllowDataLoss = False,
        prune: Prune = False,
        skip_preflight: SkipPreflight = False,
        reason: Reason = "",
        as_json: Json = False,
    ) -> None:
        """Make its machines what the file says, start them, and wait for SSH."""
        from cloud_assets.cli.commands.machines.clusters import start
        from cloud_assets.machines.plan import Options

        options = Options(allow_data_loss, prune)
        start(
            kind, config, options=options, preflight=not skip_preflight,
            reason=reason, as_json=as_json,
        )  # fmt: skip

    @app.command("status")
    def status(config: Config = None, as_json: Json = False) -> None:
        """Say how each of its machines stands."""
        from cloud_assets.cli.commands.machines.clusters import status

        status(kind, config, as_json=as_json)


def _add_stop_and_destroy(app: typer.Typer, kind: Kind) -> None:
    @app.command("stop")
    def stop(
        config: Config = None,
        force: Force = False,
        no_drain: NoDrain = False,
        reason: Reason = "",
        as_json: Json = False,
    ) -> None:
        """Empty its nodes and stop its machines, those that work before the one that leads."""
        from cloud_assets.cli.commands.machines.clusters import stop
        from cloud_assets.machines.power.request import Action, Request

        request = Request(Action.stop, cluster=kind, force=force, drain=not no_drain)
        stop(kind, config, request, reason=reason, as_json=as_json)

    @app.command("destroy")
    def destroy(
        config: Config = None,
        force: Unasked = False,
        reason: Reason = "",
        as_json: Json = False,
    ) -> None:
        """Remove its machines with their disks, its pool and its network; consoles are kept."""
        from cloud_assets.cli.commands.machines.clusters import destroy

        destroy(
            kind, config, confirmed=asking(force),
            reason=reason, as_json=as_json,
        )  # fmt: skip


hpc_app = _cluster("hpc", "HPC cluster")
cloud_app = _cluster("cloud", "cloud cluster")
