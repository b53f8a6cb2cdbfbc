"""Gathers what the cluster tells of an object: what it made, the pods, their nodes, events, logs.

What follows from it is left to `explanation`.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from resources.errors import ExternalError
from resources.kubernetes.reasons.explanation import Evidence, troubled, when
from resources.kubernetes.reasons.scarcity import awaited, scarcity
from resources.kubernetes.reference import Kind, Object, Reference, uid

if TYPE_CHECKING:
    from resources.kubernetes.client import Kubernetes

_PODS = Kind("v1", "Pod")
_NODES = Kind("v1", "Node")
_EVENTS = Kind("v1", "Event")
_MADE = (Kind("apps/v1", "Deployment"), Kind("apps/v1", "ReplicaSet"))
_LOG_LINES = 5
_MOST_LOGS = 3
#: What makes pods without saying in its spec by which labels they are found.
_LABELS_BY_KIND = {
    "InferenceService": "serving.kserve.io/inferenceservice",
    "Job": "batch.kubernetes.io/job-name",
}


def evidence(cluster: "Kubernetes", reference: Reference, found: Object | None) -> Evidence:
    """All that there is of the object `found`; what may not be read is left out."""
    if found is None:
        return Evidence(None)
    labels = _labels_of_pods(found)
    if reference.kind == "Pod":
        made, pods = [], [found]
    elif labels and reference.namespace:
        pods = _listed(cluster, _PODS, reference.namespace, labels)
        made = [
            each
            for kind in _MADE
            for each in _listed(cluster, kind, reference.namespace, labels)
            if uid(each) != uid(found)
        ]
    else:
        made, pods = [], []
    events = events_of(cluster, [found, *made, *pods], reference)
    logs, scarce = _logs(cluster, pods), _scarce(cluster, pods)
    return Evidence(found, made, pods, events, logs, scarce, nodes_of(cluster, pods))


def nodes_of(cluster: "Kubernetes", pods: Iterable[Object]) -> list[Object]:
    """The nodes that the pods are on; none where they may not be read."""
    names = sorted({each["spec"]["nodeName"] for each in pods if _node_name(each)})
    with suppress(ExternalError):
        found = (cluster.get(Reference("v1", "Node", name)) for name in names)
        return [each for each in found if each is not None]
    return []


def _node_name(pod: Object) -> str:
    return str((pod.get("spec") or {}).get("nodeName", ""))


def events_of(
    cluster: "Kubernetes", objects: Iterable[Object], reference: Reference
) -> list[Object]:
    """The events that regard these very objects, oldest first."""
    uids = {uid(each) for each in objects}
    listed = _listed(cluster, _EVENTS, reference.namespace or "default", {})
    own = [each for each in listed if (each.get("involvedObject") or {}).get("uid") in uids]
    return sorted(own, key=when)


def _scarce(cluster: "Kubernetes", pods: Iterable[Object]) -> dict[str, str]:
    """Asked only for pods that wait for GPUs and the like: it lists the whole cluster."""
    waiting = [each for each in pods if awaited(each)]
    if not waiting:
        return {}
    nodes, others = _listed(cluster, _NODES, None, {}), _listed(cluster, _PODS, None, {})
    if not nodes:
        return {}
    found = {each["metadata"]["name"]: scarcity(each, nodes, others) for each in waiting}
    return {name: told for name, told in found.items() if told}


def _listed(
    cluster: "Kubernetes", kind: Kind, namespace: str | None, labels: dict[str, str]
) -> list[Object]:
    with suppress(ExternalError):
        return cluster.listed(kind, namespace=namespace, labels=labels)
    return []


def _labels_of_pods(found: Object) -> dict[str, str]:
    if found["kind"] in _LABELS_BY_KIND:
        return {_LABELS_BY_KIND[found["kind"]]: found["metadata"]["name"]}
    selector = (found.get("spec") or {}).get("selector") or {}
    labels = selector.get("matchLabels", selector if found["kind"] == "Service" else {})
    return {str(key): str(value) for key, value in labels.items()}


def _logs(cluster: "Kubernetes", pods: Iterable[Object]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    namespaces = {each["metadata"]["name"]: each["metadata"].get("namespace") for each in pods}
    for name, container, previous in list(troubled(pods))[:_MOST_LOGS]:
        pod = Reference("v1", "Pod", name, namespaces[name])
        # A container that never ran has none; the reason must not fail for want of it.
        with suppress(ExternalError):
            found[name, container] = cluster.log_tail(
                pod, container=container, lines=_LOG_LINES, previous=previous
            )
    return found
