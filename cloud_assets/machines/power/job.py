"""`machine_power`: machines on and off as a run, which each machine's own page tells of."""

from typing import get_args

import dagster as dg
from pydantic import Field

from cloud_assets import keys
from cloud_assets.lineage import outcomes
from cloud_assets.machines.desired import Desired
from cloud_assets.machines.host import Host
from cloud_assets.machines.planning.names import asset_names
from cloud_assets.machines.power.execution import Ground, Record, carry_out
from cloud_assets.machines.power.request import Action, Request
from cloud_assets.machines.power.schedulers import Schedulers
from cloud_assets.settings import Settings
from cloud_assets.settings.machines.roster import Kind
from cloud_assets.stages import POWER_STEPS
from resources.errors import UsageError


class AskedFor(dg.Config):
    """Who asked and why, which is kept with the run."""

    requested_by: str = ""
    reason: str = ""


class PowerConfig(AskedFor):
    """What is to be done with which machines."""

    action: Action = Field(description="to single machines, or to all of a cluster")
    machines: list[str] = Field(default=[], description="by libvirt's names of them")
    cluster: str = Field(default="", description="`hpc` or `cloud`, in place of machines")
    force: bool = Field(default=False, description="cut the power instead of asking the guest")
    drain: bool = Field(default=True, description="empty the nodes of a cluster before it stops")
    wait: bool = Field(default=True, description="until a machine that starts has booted")

    def request(self) -> Request:
        """Raises UsageError for a cluster that there cannot be."""
        kinds: tuple[Kind, ...] = get_args(Kind)
        kind = next((each for each in kinds if each == self.cluster), None)
        if self.cluster and kind is None:
            raise UsageError(f"there is no cluster `{self.cluster}`", hint="`hpc`, or `cloud`")
        return Request(
            self.action, tuple(self.machines), kind,
            force=self.force, drain=self.drain, wait=self.wait,
        )  # fmt: skip


def build_jobs(desired: Desired) -> list[dg.JobDefinition]:
    """The job for all that has to do with power, and that which only cuts it; none without any."""
    if not desired.clusters:
        return []
    return [
        _job(
            keys.POWER_JOB, keys.MACHINES_POOL,
            "Machines of the host started, stopped or restarted, or a whole cluster destroyed; its "
            "nodes are emptied before it stops.",
        ),
        _job(
            keys.POWER_CUT_JOB, None,
            "The power of machines cut at once, whatever else is under way.",
        ),
    ]  # fmt: skip


def _job(name: str, pool: str | None, description: str) -> dg.JobDefinition:
    @dg.op(name=POWER_STEPS[name], pool=pool, out=dg.Out(dg.Nothing), description=description)
    def power(
        context: dg.OpExecutionContext,
        config: PowerConfig,
        host: dg.ResourceParam[Host],
        settings: dg.ResourceParam[Settings],
    ) -> dg.Output[None]:
        with outcomes():
            request = config.request()
            if pool is None and not (request.force and request.action is Action.stop):
                raise UsageError("it only cuts the power: `stop` with `force`",
                                 hint=f"the job {keys.POWER_JOB} does the rest")  # fmt: skip
            done = carry_out(request, ground_of(context, config, host, settings))
        return dg.Output(None, metadata={"outcome": done.document()})

    @dg.job(name=name, executor_def=dg.in_process_executor, description=description)
    def job() -> None:
        power()

    return job


def ground_of(
    context: dg.OpExecutionContext, config: AskedFor, host: Host, settings: Settings
) -> Ground:
    """The host, with the run's log told and the pages of machines kept."""
    assets = {
        thing: asset for each in host.desired.clusters for thing, asset in asset_names(each).items()
    }

    def keep(record: Record) -> None:
        """On the page of its asset; a machine that the file has no more has none."""
        if record.machine in assets:
            context.log_event(_observation(assets[record.machine], record, config))

    return Ground(
        host, Schedulers(settings), settings.home / "logs",
        told=lambda step: context.log.info(str(step)), kept=keep,
    )  # fmt: skip


def _observation(asset: str, record: Record, config: AskedFor) -> dg.AssetObservation:
    described = " ".join(filter(None, (record.action, record.outcome, record.text)))
    return dg.AssetObservation(
        asset_key=asset,
        description=described,
        metadata={
            "action": record.action,
            "outcome": record.outcome,
            "seconds": record.seconds,
            "requested_by": config.requested_by,
            "reason": config.reason,
        },
    )
