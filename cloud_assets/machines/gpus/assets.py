"""`gpu_owner`: who has a GPU that clusters share, as a run that hands it over and says how."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from cloud_assets import keys
from cloud_assets.lineage import outcomes
from cloud_assets.machines.gpus.execution import Record, SwitchFailed
from cloud_assets.machines.gpus.ports import Draining
from cloud_assets.machines.gpus.site import GpuSite
from cloud_assets.machines.gpus.switch import Switch


class SwitchConfig(dg.Config):
    """`gpu` by its PCI address, `to` a machine of the file.

    `drain_seconds` is how long work may take to leave, None as the settings say; `force` goes on
    where it does not. The rest is kept with the run.
    """

    gpu: str
    to: str
    drain_seconds: float | None = None
    force: bool = False
    requested_by: str = ""
    reason: str = ""


@dg.asset(
    name=keys.GPU_OWNER,
    group_name=keys.MACHINES_GROUP,
    owners=keys.ML_OWNERS,
    kinds={"libvirt"},
    code_version="1",
    # Two at once would be in each other's way.
    pool=keys.MACHINES_POOL,
    description="The machine that has a GPU which clusters share: the one before is emptied and "
    "shut down, this one started and waited for; on a failure the one before is put back.",
)
def gpu_owner(
    context: dg.AssetExecutionContext, config: SwitchConfig, gpu_site: dg.ResourceParam[GpuSite]
) -> dg.MaterializeResult:
    """See the description."""
    because = f"GPU {config.gpu} goes to {config.to}"
    draining = Draining(config.drain_seconds, config.force)
    with outcomes():
        switch = gpu_site.plan(config.gpu, config.to, draining)
        try:
            records = gpu_site.carry_out(
                switch, because=because, say=context.log.info, draining=draining
            )
        except SwitchFailed as failed:
            for each in failed.records:
                context.log.info(f"{each.action} {each.machine} {each.outcome}: {each.text}")
            raise
    return dg.MaterializeResult(metadata=_metadata(config, switch, records))


def _metadata(config: SwitchConfig, switch: Switch, records: tuple[Record, ...]) -> dict[str, Any]:
    return {
        "gpu": switch.gpu,
        "owner": switch.taker,
        "before": ", ".join(switch.givers or [each.machine for each in switch.owed]),
        "steps": [asdict(each) for each in records],
        "requested_by": config.requested_by,
        "reason": config.reason,
        "switched_at": dg.MetadataValue.timestamp(datetime.now(UTC)),
    }


def build_assets(site: GpuSite) -> list[dg.AssetsDefinition]:
    """The asset where a machine of the file has a GPU; none without any."""
    return [gpu_owner] if site.desired.users() else []


def build_jobs(site: GpuSite) -> list[keys.AssetJob]:
    """The job that hands a GPU over; none without any."""
    if not site.desired.users():
        return []
    job = dg.define_asset_job(
        keys.SWITCH_JOB,
        selection=[gpu_owner],
        executor_def=dg.in_process_executor,
        description="A GPU from the machine that has it to another.",
    )
    return [job]
