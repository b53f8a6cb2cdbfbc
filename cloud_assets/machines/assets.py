"""The machines as assets: network, pool and each machine of a cluster, made what the file says.

All of a cluster is one step, so that its machines boot at the same time; any part can be asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from cloud_assets import keys
from cloud_assets.lineage import outcomes
from cloud_assets.machines.converge import Result, require_success
from cloud_assets.machines.desired import Cluster, Desired
from cloud_assets.machines.host import Host
from cloud_assets.machines.plan import Change, Options, Plan
from cloud_assets.machines.planning.names import asset_names
from cloud_assets.machines.power.execution import Ground
from cloud_assets.machines.power.schedulers import Schedulers
from cloud_assets.machines.power.starting import make
from cloud_assets.settings import Settings


class Allowed(dg.Config):
    """What a person allows in one run: a new disk for an old one, removing what was taken out."""

    allow_data_loss: bool = False
    prune: bool = False


def build_assets(desired: Desired) -> list[dg.AssetsDefinition]:
    """A step a cluster; none without clusters."""
    return [_assets(each) for each in desired.clusters]


def build_jobs(assets: Sequence[dg.AssetsDefinition]) -> list[keys.AssetJob]:
    """The job that makes all machines what the file says; none without any."""
    if not assets:
        return []
    job = dg.define_asset_job(
        keys.MACHINES_JOB,
        selection=[*assets],
        executor_def=dg.in_process_executor,
        description="Every network, pool and machine what the file says, and each looked at.",
    )
    return [job]


def _assets(cluster: Cluster) -> dg.AssetsDefinition:
    names = asset_names(cluster)

    @dg.multi_asset(
        name=f"{cluster.kind}_machines",
        specs=_specs(cluster, names),
        can_subset=True,
        # What is being made is not stopped meanwhile, nor is a GPU of it given away.
        pool=keys.MACHINES_POOL,
    )
    def converged(
        context: dg.AssetExecutionContext,
        host: dg.ResourceParam[Host],
        settings: dg.ResourceParam[Settings],
        config: Allowed,
    ) -> Iterator[dg.MaterializeResult]:
        selected = {each.to_user_string() for each in context.selected_asset_keys}
        wanted = [thing for thing, asset in names.items() if asset in selected]
        options = Options(allow_data_loss=config.allow_data_loss, prune=config.prune)
        with outcomes():
            ground = Ground(
                host, Schedulers(settings), settings.home / "logs",
                told=lambda step: context.log.info(str(step)),
            )  # fmt: skip
            plan, results = _made(ground, cluster, wanted, options)
        failed = {each.change.name for each in results if each.error is not None}
        for thing in wanted:
            if thing not in failed:
                yield dg.MaterializeResult(
                    asset_key=names[thing], metadata=metadata(thing, plan, results)
                )
        with outcomes():
            require_success(results)

    return converged


def _specs(cluster: Cluster, names: Mapping[str, str]) -> list[dg.AssetSpec]:
    network, pool = names[cluster.network.name], names[cluster.pool.name]
    described = {
        cluster.network.name: f"The NAT network {cluster.network.subnet} of {cluster.name}.",
        cluster.pool.name: f"The directory with the disks of {cluster.name}.",
        **{
            each.name: f"The machine {each.name}, {_told(each.auto_start)}."
            for each in cluster.machines
        },
    }
    return [
        dg.AssetSpec(
            asset,
            deps=[] if asset in (network, pool) else [network, pool],
            group_name=keys.MACHINES_GROUP,
            owners=keys.ML_OWNERS,
            kinds={"libvirt"},
            code_version="1",
            description=described[thing],
            # A machine that failed keeps the others from nothing.
            skippable=True,
        )
        for thing, asset in names.items()
    ]


def _told(auto_start: bool) -> str:
    return "started with the cluster" if auto_start else "left off until somebody starts it"


def _made(
    ground: Ground, cluster: Cluster, wanted: Sequence[str], options: Options
) -> tuple[Plan, tuple[Result, ...]]:
    with ground.host.connected() as connection:
        whole = ground.host.plan(connection, options)
        gone = [
            each.name
            for each in whole.pending
            if each.action == "remove" and each.cluster == cluster.name and options.prune
        ]
        plan = whole.of([*wanted, *gone])
        return plan, make(connection, cluster, plan, ground)


def metadata(thing: str, plan: Plan, results: Sequence[Result]) -> dict[str, Any]:
    """What is kept of a machine, network or pool that was made, or found as it should be."""
    changes = [each for each in plan.pending if each.name == thing]
    made = [each for each in results if each.change.name == thing]
    return {
        "changes": [str(each.change) for each in made],
        "withheld": [f"{each}: {each.withheld}" for each in changes if each.withheld],
        "differences": _table(changes),
        "seconds": sum(each.seconds for each in made),
        "converged_at": dg.MetadataValue.timestamp(datetime.now(UTC)),
    }


def _table(changes: Sequence[Change]) -> dg.TableMetadataValue:
    """Each place that differed, before and after."""
    columns = [dg.TableColumn(name) for name in ("place", "before", "after")]
    return dg.MetadataValue.table(
        [
            dg.TableRecord({"place": each.path, "before": each.old or "", "after": each.new or ""})
            for change in changes
            for each in change.differences
        ],
        schema=dg.TableSchema(columns),
    )
