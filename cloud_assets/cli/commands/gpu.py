"""`gpu` and `inventory`: who has the GPUs, what stands in the way, and handing one over."""

import getpass
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloud_assets.cli import output
from cloud_assets.stages import GPU_OWNER, REASON_TAG, REQUESTED_BY_TAG, SWITCH_JOB
from resources.errors import UsageError

if TYPE_CHECKING:
    from cloud_assets.machines.gpus.inventory import Gpu, Party
    from cloud_assets.machines.gpus.site import GpuSite
    from cloud_assets.machines.gpus.switch import Step

COLUMNS = ("gpu", "state", "owner", "wanted by", "driver", "group", "name")
STEP_COLUMNS = ("step", "machine", "outcome", "text")

Json = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
Address = Annotated[str, typer.Argument(help="A PCI address, as in `0000:01:00.0`.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the run.")]
DrainSeconds = Annotated[
    float | None,
    typer.Option(
        "--drain-seconds",
        min=0,
        help="How long work may take to leave; machines.drain_timeout_seconds by default.",
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Go on then, though work that is left is lost.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the steps; change nothing.")]
_PLAIN: Mapping[str, Any] = {"no_args_is_help": True, "rich_markup_mode": None}


def groups() -> Iterable[tuple[str, typer.Typer]]:
    """The groups of commands by their names."""
    gpu = typer.Typer(help="GPUs that clusters of virtual machines share.", **_PLAIN)
    for name, function in (("list", listed), ("owner", owner), ("conflicts", conflicts_found),
                           ("switch", switch)):  # fmt: skip
        gpu.command(name)(function)
    inventory = typer.Typer(help="The devices of the host.", **_PLAIN)
    functions: tuple[tuple[str, Callable[..., None]], ...] = (("gpu", listed), ("pcie", pcie))
    for name, each in functions:
        inventory.command(name)(each)
    return ("gpu", gpu), ("inventory", inventory)


def listed(as_json: Json = False) -> None:
    """List the GPUs of the host and of the file: who has each, and who wants it."""
    gpus = _site().look()[1]
    if as_json:
        output.json_document([asdict(each) for each in gpus])
        return
    if not gpus:
        output.note("the host has no GPUs, and the file names none")
        return
    output.records(COLUMNS, [_row(each) for each in gpus], as_json=False)


def owner(
    address: Annotated[
        str | None, typer.Argument(help="A PCI address; all GPUs without one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which machine has a GPU now."""
    gpus = _site().look()[1]
    found = [each for each in gpus if address in (None, each.address)]
    if not found and address is not None:
        raise UsageError(f"there is no GPU {address}", hint="`ai-how gpu list` lists them")
    rows = [
        {
            "gpu": each.address,
            "owner": each.owner.name if each.owner else "",
            "cluster": each.owner.cluster if each.owner else "",
        }
        for each in found
    ]
    output.records(("gpu", "owner", "cluster"), rows, as_json=as_json)


def conflicts_found(as_json: Json = False) -> None:
    """Say what keeps machines from GPUs that the file gives them, with what mends it; 3 if any."""
    from cloud_assets.machines.gpus.conflicts import conflicts

    site = _site()
    found = conflicts(site.look()[1], site.desired)
    if found or as_json:
        rows = [{**asdict(each), "clusters": ", ".join(each.clusters)} for each in found]
        columns = ("gpu", "kind", "machine", "clusters")
        output.records(columns, rows, as_json=as_json, sentences=("why", "command"))
    if not found:
        output.note("every machine can have the GPUs that the file gives it")
        return
    raise typer.Exit(output.DRIFT)


def switch(  # noqa: PLR0913 - each is an option of the command
    address: Address,
    to: Annotated[str, typer.Option("--to", help="The machine that gets it.")],
    reason: Reason = "",
    drain_seconds: DrainSeconds = None,
    force: Force = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Hand a GPU over: empty and stop the machine that has it, start the other, wait for it.

    On a failure the machine that had it is put back.
    """
    from cloud_assets.machines.gpus.ports import Draining

    plan = _site().plan(address, to, Draining(drain_seconds, force))
    if not plan.steps:
        output.note(f"{to} has GPU {address} already")
    if dry_run or not plan.steps:
        rows = [_to_do(each) for each in plan.steps]
    else:
        rows = _switched(
            {"gpu": address, "to": to, "drain_seconds": drain_seconds, "force": force,
             "reason": reason}
        )  # fmt: skip
    if rows or as_json:
        output.records(STEP_COLUMNS, rows, as_json=as_json)


def _to_do(step: "Step") -> dict[str, Any]:
    return {
        "step": step.action,
        "machine": step.machine,
        "outcome": "left out" if step.skipped else "to do",
        "text": f"{step.text} ({step.skipped})" if step.skipped else step.text,
    }


def _switched(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """By a run of the graph, which is on record."""
    from cloud_assets.cli.run_steps import follow, require_success
    from cloud_assets.settings_file import load_settings
    from resources.dagster.graphql import DagsterGraphQL

    graph = DagsterGraphQL(load_settings().dagster_url)
    given = {**asked, "requested_by": getpass.getuser()}
    tags = {REQUESTED_BY_TAG: given["requested_by"], REASON_TAG: asked["reason"][:500]}
    config = {"ops": {GPU_OWNER: {"config": given}}}
    run_id = graph.submit(SWITCH_JOB, config=config, tags={k: v for k, v in tags.items() if v})
    output.note(f"{asked['gpu']} to {asked['to']}: run {run_id}")
    ended = follow(graph, run_id)
    require_success(graph, ended, f"give {asked['gpu']} to {asked['to']}")
    run_id = ended.run.run_id
    event = next(each for each in graph.events(GPU_OWNER, limit=20) if each.run_id == run_id)
    return [{"step": each["action"], **each} for each in event.metadata["steps"]]


def pcie(as_json: Json = False) -> None:
    """List the PCI devices of the host with drivers and IOMMU groups."""
    devices = _site().look()[0].devices
    rows = [
        {
            "address": each.address,
            "class": each.pci_class,
            "driver": each.driver,
            "vfio": "yes" if each.driver == "vfio-pci" else "no",
            "group": each.iommu_group,
            "name": f"{each.vendor} {each.product}".strip(),
        }
        for each in devices
    ]
    columns = ("address", "class", "driver", "vfio", "group", "name")
    output.records(columns, rows, as_json=as_json)


def _site() -> "GpuSite":
    from cloud_assets.machines.gpus.site import GpuSite
    from cloud_assets.settings_file import load_cluster_file

    read = load_cluster_file()
    return GpuSite.of(read.platform, read.clusters)


def _row(gpu: "Gpu") -> dict[str, Any]:
    state = "taken" if gpu.owner else "busy" if gpu.processes else "free"
    return {
        "gpu": gpu.address,
        "state": state if gpu.is_there else "absent",
        "owner": _named(gpu.owner) if gpu.owner else "",
        "wanted by": ", ".join(map(_named, gpu.wanted_by)),
        "driver": gpu.driver,
        "group": gpu.group,
        "name": gpu.name,
    }


def _named(party: "Party") -> str:
    return f"{party.name} ({party.cluster})" if party.cluster else party.name
