"""Extended resources, such as GPUs: which nodes have them, and which pods hold them. Pure.

The scheduler says that there are too few, not who has them.
"""

from collections.abc import Iterable, Iterator, Sequence

from resources.kubernetes.conditions import condition_of
from resources.kubernetes.reference import Object

_ENDED = ("Succeeded", "Failed")
_MOST_HOLDERS = 3


def awaited(pod: Object) -> dict[str, int]:
    """How many of which extended resources an unplaced pod asks for; empty for one with a node."""
    if condition_of(pod, "PodScheduled").get("status") != "False":
        return {}
    return _asked(pod)


def scarcity(pod: Object, nodes: Sequence[Object], pods: Sequence[Object]) -> str | None:
    """Which of them no node has free for this pod, and who holds them; None where enough are."""
    for resource, count in awaited(pod).items():
        found = _shortage(resource, count, nodes, pods)
        if found:
            return found
    return None


def _shortage(
    resource: str, count: int, nodes: Sequence[Object], pods: Sequence[Object]
) -> str | None:
    offers = {each["metadata"]["name"]: offered(each, resource) for each in nodes}
    offers = {name: offer for name, offer in offers.items() if offer}
    if not offers:
        return f"no node has any {resource}"
    holders = list(_holders(resource, pods))
    used = {name: sum(n for node, _, n in holders if node == name) for name in offers}
    if any(offer - used[name] >= count for name, offer in offers.items()):
        return None
    if max(offers.values()) < count:
        return f"no node has {count} {resource}, the largest has {max(offers.values())}"
    told = [f"{who} holds {n} of {offers[node]} on {node}" for node, who, n in holders
            if node in offers]  # fmt: skip
    if len(told) > _MOST_HOLDERS:
        told = [*told[:_MOST_HOLDERS], f"{len(told) - _MOST_HOLDERS} more"]
    return f"no free {resource}: {', '.join(told)}"


def offered(node: Object, resource: str) -> int:
    """How many pods of a node may have in all; none of one that takes no pods."""
    if (node.get("spec") or {}).get("unschedulable"):
        return 0
    return _count(((node.get("status") or {}).get("allocatable") or {}).get(resource))


def _holders(resource: str, pods: Iterable[Object]) -> Iterator[tuple[str, str, int]]:
    """Node, pod and number of each pod that has some."""
    for pod in pods:
        node, phase = pod["spec"].get("nodeName"), (pod.get("status") or {}).get("phase")
        count = _asked(pod).get(resource, 0)
        if node and count and phase not in _ENDED:
            about = pod["metadata"]
            yield node, f"pod {about.get('namespace', 'default')}/{about['name']}", count


def _asked(pod: Object) -> dict[str, int]:
    asked: dict[str, int] = {}
    for container in (pod.get("spec") or {}).get("containers") or ():
        limits = (container.get("resources") or {}).get("limits") or {}
        for resource, count in limits.items():
            # The cluster's own have no domain.
            if "/" in resource:
                asked[resource] = asked.get(resource, 0) + _count(count)
    return {resource: count for resource, count in asked.items() if count}


def _count(quantity: object) -> int:
    """Of what has no fractions; anything else counts as none."""
    text = str(quantity or "0")
    return int(text) if text.isdecimal() else 0
