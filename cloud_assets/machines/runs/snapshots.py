"""`machine_snapshots`: machines kept as they are, and brought back, as a run on their own pages."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial

import dagster as dg
from pydantic import Field

from cloud_assets import keys
from cloud_assets.lineage import outcomes
from cloud_assets.machines.desired import Desired
from cloud_assets.machines.guests import snapshots
from cloud_assets.machines.host import Host
from cloud_assets.machines.planning.names import asset_names
from cloud_assets.stages import SNAPSHOT_JOB, SNAPSHOT_STEP


class Action(StrEnum):
    """What is done, to all of the machines."""

    create = "create"
    revert = "revert"
    delete = "delete"


class SnapshotConfig(dg.Config):
    """What is done with which machines; who asked and why is kept with the run."""

    action: Action
    machines: list[str] = Field(description="by libvirt's names of them")
    name: str = Field(description="of the snapshot, the same of all machines")
    description: str = ""
    requested_by: str = ""
    reason: str = ""


def build_jobs(desired: Desired) -> list[dg.JobDefinition]:
    """The job; none without clusters."""
    if not desired.clusters:
        return []

    @dg.op(
        name=SNAPSHOT_STEP,
        pool=keys.MACHINES_POOL,
        out=dg.Out(dg.Nothing),
        description="Snapshots of all the machines that are named, or of none.",
    )
    def snapshot(
        context: dg.OpExecutionContext, config: SnapshotConfig, host: dg.ResourceParam[Host]
    ) -> None:
        with outcomes():
            _carry_out(context, config, host)

    @dg.job(
        name=SNAPSHOT_JOB,
        executor_def=dg.in_process_executor,
        description="Machines of the host kept as they are, or brought back to how they were.",
    )
    def job() -> None:
        snapshot()

    return [job]


def _carry_out(context: dg.OpExecutionContext, config: SnapshotConfig, host: Host) -> None:
    assets = {
        thing: asset for each in host.desired.clusters for thing, asset in asset_names(each).items()
    }

    def told(machine: str) -> None:
        context.log.info(f"{machine}: {config.action.value} {config.name}")
        if machine in assets:
            context.log_event(_observation(assets[machine], config))

    does: dict[Action, Callable[..., object]] = {
        Action.create: partial(snapshots.create, description=config.description),
        Action.revert: snapshots.revert,
        Action.delete: snapshots.delete,
    }
    with host.connected() as connection:
        does[config.action](connection, config.machines, config.name, told=told)


def _observation(asset: str, config: SnapshotConfig) -> dg.AssetObservation:
    return dg.AssetObservation(
        asset_key=asset,
        description=f"{config.action.value} snapshot {config.name}",
        metadata={
            "action": config.action.value,
            "snapshot": config.name,
            "requested_by": config.requested_by,
            "reason": config.reason,
        },
    )
