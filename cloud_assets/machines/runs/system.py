"""`start_system`: both clusters started as one run, told of on the pages of all machines."""

from collections.abc import Sequence

import dagster as dg

from cloud_assets import keys
from cloud_assets.lineage import outcomes
from cloud_assets.machines.assets import metadata
from cloud_assets.machines.converge import Result
from cloud_assets.machines.desired import Cluster, Desired
from cloud_assets.machines.host import Host
from cloud_assets.machines.plan import Plan
from cloud_assets.machines.planning.names import asset_names
from cloud_assets.machines.power import system
from cloud_assets.machines.power.job import AskedFor, ground_of
from cloud_assets.settings import Settings
from cloud_assets.stages import SYSTEM_JOB, SYSTEM_STEP


class SystemConfig(AskedFor):
    """Who asked and why; what is to be started is what the file says."""


def build_jobs(desired: Desired) -> list[dg.JobDefinition]:
    """The job; none without clusters."""
    if not desired.clusters:
        return []

    @dg.op(
        name=SYSTEM_STEP,
        pool=keys.MACHINES_POOL,
        out=dg.Out(dg.Nothing),
        description="The HPC cluster, then the cloud; where one fails, what was off before the "
        "first attempt is off again.",
    )
    def start(
        context: dg.OpExecutionContext,
        config: SystemConfig,
        host: dg.ResourceParam[Host],
        settings: dg.ResourceParam[Settings],
    ) -> None:
        def made(cluster: Cluster, plan: Plan, results: Sequence[Result]) -> None:
            for each in _materialised(cluster, plan, results):
                context.log_event(each)

        with outcomes():
            system.start(ground_of(context, config, host, settings), settings.home, made)

    @dg.job(
        name=SYSTEM_JOB,
        executor_def=dg.in_process_executor,
        description="All clusters started, one after the other, or none of them.",
    )
    def job() -> None:
        start()

    return [job]


def _materialised(
    cluster: Cluster, plan: Plan, results: Sequence[Result]
) -> list[dg.AssetMaterialization]:
    """What is there of a cluster now, as its own assets tell it."""
    failed = {each.change.name for each in results if each.error is not None}
    return [
        dg.AssetMaterialization(asset, metadata=metadata(thing, plan, results))
        for thing, asset in asset_names(cluster).items()
        if thing not in failed
    ]
