"""Whether a GPU should go to the other cluster: who waits, who has it and since when. Pure.

Two thresholds keep it from flapping: nobody loses it within `hold_seconds` of having got it, and
who works with it keeps it until `patience_seconds` of somebody's waiting are over.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from resources.slurm import Job

Side = Literal["hpc", "cloud"]
_GPU = "nvidia.com/"
#: Why a job waits that no GPU would start.
_NOT_NOW = frozenset({"Dependency", "DependencyNeverSatisfied", "BeginTime", "JobHeldUser",
                      "JobHeldAdmin"})  # fmt: skip
SIDES: tuple[Side, Side] = ("hpc", "cloud")


@dataclass(frozen=True)
class Demand:
    """What one side has to do for the GPU: work that waits for it, and work that uses it.

    `waits_seconds` is how long the oldest of what waits has waited.
    """

    pending: int = 0
    running: int = 0
    waits_seconds: float = 0.0


@dataclass(frozen=True)
class Rules:
    """`hold_seconds` at least, `patience_seconds` at most where both sides want it."""

    hold_seconds: float = 900.0
    patience_seconds: float = 3600.0
    #: What waits for less than this may be gone before a machine is up for it.
    settle_seconds: float = 30.0


@dataclass(frozen=True)
class Ruling:
    """`to` is None where the GPU stays; `why` is one sentence."""

    to: Side | None
    why: str


def decide(
    hpc: Demand, cloud: Demand, *, owner: Side | None, held_seconds: float, rules: Rules
) -> Ruling:
    """Keep it, or hand it to a side; `owner` None where nobody has it."""
    demands = {"hpc": hpc, "cloud": cloud}
    waiting = [each for each in SIDES if _is_serious(demands[each], rules)]
    if owner is None:
        if not waiting:
            return Ruling(None, "nobody waits for it")
        longest = max(waiting, key=lambda each: demands[each].waits_seconds)
        return Ruling(longest, f"{longest} waits for it and nobody has it")
    other: Side = "cloud" if owner == "hpc" else "hpc"
    if other not in waiting:
        return Ruling(None, f"{other} does not wait for it")
    if held_seconds < rules.hold_seconds:
        return Ruling(None, f"{owner} has had it for less than {rules.hold_seconds:g} s")
    if demands[owner].running or demands[owner].pending:
        return _contended(owner, other, demands[other], held_seconds, rules)
    return Ruling(other, f"{other} waits for it and {owner} does nothing with it")


def _contended(
    owner: Side, other: Side, demand: Demand, held_seconds: float, rules: Rules
) -> Ruling:
    """Both want it: the other side gets it once its patience and the owner's share are over."""
    if demand.waits_seconds < rules.patience_seconds or held_seconds < rules.patience_seconds:
        return Ruling(None, f"{owner} works with it, and {other} has not waited long enough")
    return Ruling(other, f"{other} has waited for longer than {rules.patience_seconds:g} s")


def _is_serious(demand: Demand, rules: Rules) -> bool:
    return demand.pending > 0 and demand.waits_seconds >= rules.settle_seconds


def of_jobs(jobs: Iterable[Job], now: datetime) -> Demand:
    """What Slurm has to do for GPUs."""
    asking = [each for each in jobs if each.gpus]
    waiting = [each for each in asking if each.is_pending and each.reason not in _NOT_NOW]
    times = [(now - each.submitted).total_seconds() for each in waiting if each.submitted]
    running = sum(each.is_running for each in asking)
    return Demand(len(waiting), running, max(times, default=0.0))


def of_pods(pods: Iterable[Mapping[str, Any]], now: datetime) -> Demand:
    """What Kubernetes has to do for GPUs; pods as its API gives them."""
    asking = [each for each in pods if _asks(each)]
    waiting = [each for each in asking if _is_unplaced(each)]
    begun = (datetime.fromisoformat(each["metadata"]["creationTimestamp"]) for each in waiting)
    times = [(now - each).total_seconds() for each in begun]
    phases = [each.get("status", {}).get("phase") for each in asking]
    placed = [each.get("spec", {}).get("nodeName") for each in asking]
    running = sum(
        phase in ("Pending", "Running") and bool(node)
        for phase, node in zip(phases, placed, strict=True)
    )
    return Demand(len(waiting), running, max(times, default=0.0))


def _asks(pod: Mapping[str, Any]) -> bool:
    containers = pod.get("spec", {}).get("containers") or ()
    limits = ((each.get("resources") or {}).get("limits") or {} for each in containers)
    return any(name.startswith(_GPU) for each in limits for name in each)


def _is_unplaced(pod: Mapping[str, Any]) -> bool:
    """Whether it waits for a node; one that is being deleted waits for nothing."""
    is_pending = pod.get("status", {}).get("phase") == "Pending"
    is_going = "deletionTimestamp" in pod["metadata"]
    return is_pending and not is_going and not pod.get("spec", {}).get("nodeName")
