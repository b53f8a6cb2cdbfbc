"""What can be waited for: a name, and a predicate on an object that may be absent. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from resources.kubernetes.reference import Object, uid


@dataclass(frozen=True)
class Condition:
    """`holds` is asked for every version of the object, with None while there is none."""

    text: str
    holds: Callable[[Object | None], bool]


def condition(kind: str, status: str = "True") -> Condition:
    """`status.conditions` says so of the object's present generation, as far as it tells."""

    def holds(found: Object | None) -> bool:
        each = condition_of(found, kind)
        return bool(each) and each.get("status") == status and not _is_stale(found, each)

    return Condition(f"{kind}={status}", holds)


def rolled_out() -> Condition:
    """All replicas of a Deployment, StatefulSet or DaemonSet are of its newest template and up."""
    return Condition("rolled out", _is_rolled_out)


def exists() -> Condition:
    return Condition("there", lambda found: found is not None)


def deleted(of: str = "") -> Condition:
    """Nothing of that name is there, or another than the one with the uid `of`."""
    return Condition("gone", lambda found: found is None or bool(of and uid(found) != of))


def condition_of(found: Object | None, kind: str) -> Object:
    """One of `status.conditions`, empty where it is not there."""
    listed = ((found or {}).get("status") or {}).get("conditions") or []
    return next((each for each in listed if each.get("type") == kind), {})


def has_been_up(deployment: Object | None) -> bool:
    """Whether all replicas of its present template were up at one time, as they may be no more."""
    return condition_of(deployment, "Progressing").get("reason") == "NewReplicaSetAvailable"


def is_lost(node: Object) -> bool:
    """Whether a node's kubelet is not at work, or nobody has heard of it for too long."""
    return condition_of(node, "Ready").get("status") != "True"


def _is_stale(found: Object | None, each: Object) -> bool:
    generation = (found or {})["metadata"].get("generation", 0)
    return int(each.get("observedGeneration", generation)) < int(generation)


def _is_rolled_out(found: Object | None) -> bool:
    if found is None:
        return False
    status, spec = found.get("status") or {}, found.get("spec") or {}
    if int(status.get("observedGeneration", 0)) < int(found["metadata"].get("generation", 0)):
        return False
    if found["kind"] == "DaemonSet":
        wanted = int(status.get("desiredNumberScheduled", 0))
        up, updated = status.get("numberAvailable", 0), status.get("updatedNumberScheduled", 0)
        return int(up) >= wanted and int(updated) >= wanted
    wanted = int(spec.get("replicas", 1))
    counts = [int(status.get(name, 0)) for name in ("updatedReplicas", "availableReplicas")]
    return all(count >= wanted for count in counts) and int(status.get("replicas", 0)) == wanted
