"""The `gpu_demand` sensor: hands a GPU to the cluster whose work waits for it. Off unless started.

What is decided is `demand`'s; since when a cluster has a GPU is what this has seen, in its cursor.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from cloud_assets import keys
from cloud_assets.machines.gpus.demand import Demand, Rules, Ruling, Side, decide, of_jobs, of_pods
from cloud_assets.machines.gpus.inventory import Gpu
from cloud_assets.machines.gpus.site import GpuSite
from resources.kubernetes import Kind
from sensors.drift import ACTIVE

#: The owner of each GPU and the moment from which on it was seen to have it.
Seen = dict[str, tuple[str, float]]


def build_sensors(jobs: Sequence[keys.AssetJob]) -> list[dg.SensorDefinition]:
    """The sensor where there is a job that hands GPUs over; none without."""
    return [_sensor(each) for each in jobs]


def _sensor(job: keys.AssetJob) -> dg.SensorDefinition:
    @dg.sensor(
        name="gpu_demand",
        job=job,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Hands a GPU that clusters share to the one whose work waits for it.",
    )
    def gpu_demand(
        context: dg.SensorEvaluationContext, gpu_site: dg.ResourceParam[GpuSite]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        if context.instance.get_runs(dg.RunsFilter(job_name=job.name, statuses=ACTIVE), limit=1):
            yield dg.SkipReason("a GPU is changing hands")
            return
        moment = datetime.now(UTC)
        demands = measured(gpu_site, moment)
        if demands is None:
            yield dg.SkipReason("`platform.slurm` and `platform.kubernetes` must both be named")
            return
        now = moment.timestamp()
        gpus = [each for each in gpu_site.look()[1] if len(each.wanted_by) > 1]
        seen = remembered(gpus, context.cursor, now)
        context.update_cursor(json.dumps(seen))
        rulings = {each.address: ruling(each, demands, seen, gpu_site, now) for each in gpus}
        requests = [_request(each, rulings[each.address]) for each in gpus]
        found = [each for each in requests if each is not None]
        told = "; ".join(f"{address}: {each.why}" for address, each in rulings.items())
        yield found[0] if found else dg.SkipReason(told or "no GPU is shared")

    return gpu_demand


def measured(site: GpuSite, now: datetime) -> Mapping[Side, Demand] | None:
    """What both clusters have to do for GPUs; None where one of them cannot be asked."""
    if site.slurm is None or site.kubernetes is None:
        return None
    pods = site.kubernetes.kubernetes.listed(Kind("v1", "Pod"))
    return {"hpc": of_jobs(site.slurm.slurm.jobs(), now), "cloud": of_pods(pods, now)}


def remembered(gpus: Sequence[Gpu], cursor: str | None, now: float) -> Seen:
    """The cursor brought up to who has each GPU now."""
    before: Mapping[str, Sequence[object]] = json.loads(cursor or "{}")
    found: Seen = {}
    for each in gpus:
        owner = each.owner.name if each.owner else ""
        known, since = before.get(each.address, ("", now))
        found[each.address] = (owner, float(str(since)) if known == owner else now)
    return found


def ruling(
    gpu: Gpu, demands: Mapping[Side, Demand], seen: Seen, site: GpuSite, now: float
) -> Ruling:
    """Whether the GPU stays. What has it without being of a cluster keeps it."""
    if gpu.owner is not None and gpu.owner.kind is None:
        return Ruling(None, "it is somebody else's")
    machines = site.settings.machines
    rules = Rules(machines.gpu_hold_seconds, machines.gpu_patience_seconds)
    return decide(
        demands["hpc"], demands["cloud"], owner=gpu.owner.kind if gpu.owner else None,
        held_seconds=now - seen[gpu.address][1], rules=rules,
    )  # fmt: skip


def _request(gpu: Gpu, decided: Ruling) -> dg.RunRequest | None:
    to = next((each for each in gpu.wanted_by if each.kind == decided.to), None)
    if to is None:
        return None
    given = {"gpu": gpu.address, "to": to.name, "requested_by": "gpu_demand", "reason": decided.why}
    return dg.RunRequest(run_config={"ops": {keys.GPU_OWNER: {"config": given}}})
