"""The `machine_drift` sensor: what libvirt has is held against what the file says.

It asks only for what harms nobody: a network or pool that is down, a machine that crashed. What
somebody changed or stopped by hand is told, and left to whoever applies a plan.
"""

from collections.abc import Iterator

import dagster as dg

from cloud_assets import keys
from cloud_assets.machines.host import Host
from cloud_assets.machines.plan import Change, Plan
from cloud_assets.machines.planning.machines import WHY_CRASHED
from cloud_assets.machines.planning.names import asset_names
from resources.errors import ExternalError
from sensors.drift import may_converge

LONGEST = 20


def is_safe(change: Change) -> bool:
    """Whether it may be made without anyone asking."""
    crashed = change.what != "machine" or change.why == WHY_CRASHED
    return change.applies and change.action == "start" and crashed


def build_sensors(jobs: list[keys.AssetJob]) -> list[dg.SensorDefinition]:
    """The sensor that asks for the job of the machines; none without machines."""
    return [_sensor(each) for each in jobs]


def _sensor(job: keys.AssetJob) -> dg.SensorDefinition:
    @dg.sensor(
        name="machine_drift",
        job=job,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts machines that crashed and networks that are down, and tells what else "
        "is not as the file says.",
    )
    def machine_drift(
        context: dg.SensorEvaluationContext, host: dg.ResourceParam[Host]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        try:
            with host.connected() as connection:
                plan = host.plan(connection, may_probe=False)
        except ExternalError as error:
            # The rest of the graph needs no hypervisor.
            yield dg.SkipReason(str(error))
            return
        safe = [each for each in plan.pending if is_safe(each)]
        said = told(plan)
        if safe and may_converge(context.instance, keys.MACHINES_JOB):
            yield dg.RunRequest(
                asset_selection=[dg.AssetKey(_asset(plan, each)) for each in safe],
                tags={"ai-how/drift": "; ".join(map(str, safe))},
            )
        else:
            yield dg.SkipReason(said or "everything is as it should be")

    return machine_drift


def told(plan: Plan) -> str:
    """What is not as it should be, in a line."""
    pending = plan.pending
    more = f"; and {len(pending) - LONGEST} more" if len(pending) > LONGEST else ""
    return "; ".join(map(str, pending[:LONGEST])) + more


def _asset(plan: Plan, change: Change) -> str:
    return next(
        asset_names(cluster)[change.name]
        for cluster in plan.clusters
        if cluster.name == change.cluster
    )
