"""What is asked of machines' power, and in which order that is done. Pure.

What is asked of a cluster is asked of all of it: workers go before the machine that leads them, and
come after it.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

from cloud_assets.machines.desired import Cluster, Desired
from cloud_assets.settings.machines.roster import Kind
from resources.errors import UsageError


class Action(Enum):
    """By the names that a run's configuration has for them."""

    start = "start"
    stop = "stop"
    restart = "restart"
    destroy = "destroy"


@dataclass(frozen=True)
class Request:
    """`machines` by libvirt's names of them, or a `cluster` of the file.

    `force` cuts the power, and empties no node before; `drain` is whether a cluster's nodes are
    emptied, `wait` whether a machine that starts is waited for.
    """

    action: Action
    machines: tuple[str, ...] = ()
    cluster: Kind | None = None
    force: bool = False
    drain: bool = True
    wait: bool = True

    @property
    def empties(self) -> bool:
        """Whether nodes are emptied before: of whole clusters, unless the power is cut."""
        return self.cluster is not None and self.drain and not self.force

    @property
    def because(self) -> str:
        """What is written on nodes that are closed for it."""
        return f"{self.cluster or 'machines'} {self.action.value}"


@dataclass(frozen=True)
class Wave:
    """Machines of which the same is done at once, in their order for who reads of it."""

    action: Literal["start", "stop"]
    machines: tuple[str, ...]


def cluster_of(request: Request, desired: Desired) -> Cluster | None:
    """The cluster that is asked for, None where machines are. Raises UsageError for nonsense."""
    if bool(request.machines) == (request.cluster is not None):
        raise UsageError("name machines or a cluster, one of both")
    if request.cluster is None:
        if request.action is Action.destroy:
            raise UsageError("clusters are destroyed, not single machines",
                             hint="take it out of the file, then start with `--prune`")  # fmt: skip
        return None
    found = next((each for each in desired.clusters if each.kind == request.cluster), None)
    if found is None:
        raise UsageError(
            f"the file has no {request.cluster} cluster",
            hint=f"describe it: `clusters.{request.cluster}`",
        )
    return found


def waves(
    request: Request, cluster: Cluster | None, there: Collection[str], active: Collection[str]
) -> tuple[Wave, ...]:
    """What is stopped and started, in order; `there` are machines that exist, `active` run.

    Of a cluster those start that start with it, and after a restart those that ran before.
    """
    if cluster is None:
        stop, start = Wave("stop", request.machines), Wave("start", request.machines)
        return _chosen(request.action, (stop,), (start,))
    leader, *workers = cluster.machines
    names = tuple(each.name for each in workers if each.name in there)
    first = (leader.name,) if leader.name in there else ()
    going = (Wave("stop", names), Wave("stop", first))
    by_itself = {each.name for each in cluster.machines if each.auto_start}
    come = by_itself if request.action is Action.start else set(active)
    coming = tuple(
        replace(each, action="start", machines=tuple(n for n in each.machines if n in come))
        for each in reversed(going)
    )
    return tuple(each for each in _chosen(request.action, going, coming) if each.machines)


def _chosen(action: Action, going: tuple[Wave, ...], coming: tuple[Wave, ...]) -> tuple[Wave, ...]:
    if action is Action.stop:
        return going
    return coming if action is Action.start else (*going, *coming)
