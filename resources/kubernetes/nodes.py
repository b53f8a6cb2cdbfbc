"""Nodes: closing one to new pods, emptying it by evictions, opening it again.

Who closed it is written on it, so that nobody opens what somebody else has closed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from resources.errors import DeadlineExceeded, NeedsRepair, TransientError
from resources.kubernetes.api.failures import SYSTEM, NotFound
from resources.kubernetes.client import Kubernetes
from resources.kubernetes.conditions import condition
from resources.kubernetes.reference import Kind, Object, Reference

#: Called while waiting, with the seconds since the beginning and what is waited for.
Progress = Callable[[float, str], None]

#: On a node that we closed: why.
CLOSED_BECAUSE = "ai-how.dev/cordoned-because"
#: How often budgets must have held up the very same pods until nobody waits for them.
_ROUNDS = 3
_GONE, _ENDING, _TOLD = "it is gone", "it is ending", "it was told to end"
_ALONE = "nothing would start it again"
_POLL_SECONDS = 1.0
_LISTED = 5


def node(name: str) -> Reference:
    return Reference("v1", "Node", name)


def cordon(kubernetes: Kubernetes, name: str, because: str) -> bool:
    """Close a node to new pods; whether it was open. Raises NotFound where there is none.

    One that somebody else has closed stays theirs.
    """
    if _found(kubernetes, name, "cordon").get("spec", {}).get("unschedulable"):
        return False
    about = {"annotations": {CLOSED_BECAUSE: because}}
    kubernetes.patch(node(name), {"metadata": about, "spec": {"unschedulable": True}})
    return True


def uncordon(kubernetes: Kubernetes, name: str) -> bool:
    """Open a node that `cordon` closed; whether it did. What others closed stays closed."""
    annotations = _found(kubernetes, name, "uncordon")["metadata"].get("annotations") or {}
    if CLOSED_BECAUSE not in annotations:
        return False
    about = {"annotations": {CLOSED_BECAUSE: None}}
    kubernetes.patch(node(name), {"metadata": about, "spec": {"unschedulable": None}})
    return True


def drain(
    kubernetes: Kubernetes,
    name: str,
    *,
    because: str,
    timeout_seconds: float,
    progress: Progress | None = None,
) -> bool:
    """Close a node and evict its pods, as PodDisruptionBudgets allow; whether it was open.

    Pods of DaemonSets and of the kubelet stay, emptyDir volumes are lost. Raises NeedsRepair,
    before anything is done, for pods that nothing would start again; DeadlineExceeded with the
    pods that are still there and why. The node stays closed then.
    """
    alone = [_name(each) for each in _to_leave(kubernetes, name) if _controller(each) is None]
    if alone:
        raise NeedsRepair(
            SYSTEM, f"drain {name}", f"nothing would start these pods again: {_several(alone)}",
            hint="delete them by hand, or have a Deployment or Job make them",
        )  # fmt: skip
    closed = cordon(kubernetes, name, because)
    began = time.monotonic()
    while waits := _evicted(kubernetes, name):
        passed = time.monotonic() - began
        told = _several([f"{pod} ({why})" for pod, why in waits.items()])
        if progress is not None:
            progress(passed, told)
        if passed > timeout_seconds:
            raise DeadlineExceeded(
                SYSTEM, f"drain {name}", f"pods are on it after {timeout_seconds:g} s: {told}",
                hint="let their budgets allow one to go (`kubectl get pdb -A`), or wait longer",
            )  # fmt: skip
        time.sleep(min(_POLL_SECONDS, max(0.05, timeout_seconds - passed)))
    return closed


def vacate(
    kubernetes: Kubernetes,
    names: Sequence[str],
    *,
    because: str,
    timeout_seconds: float,
    progress: Progress | None = None,
) -> dict[str, str]:
    """Close nodes that all go away together and end their pods; the pods left, each with why.

    What is evicted has nowhere to go until a node is open again, so a budget that holds a pod up
    holds it up for good: such pods are left, as are those that nothing would start again.
    """
    for name in names:
        cordon(kubernetes, name, because)
    began = time.monotonic()
    held: list[dict[str, str]] = []
    while True:
        left = {_name(each): _let_go(kubernetes, each) for each in _to_leave(kubernetes, *names)}
        passed = time.monotonic() - began
        held = [*held[1 - _ROUNDS :], left]
        is_settled = len(held) == _ROUNDS and all(each == left for each in held)
        is_going = bool({_GONE, _ENDING, _TOLD} & set(left.values()))
        if not left or (is_settled and not is_going) or passed > timeout_seconds:
            return left
        if progress is not None:
            progress(passed, _several([f"{pod} ({why})" for pod, why in left.items()]))
        time.sleep(min(_POLL_SECONDS, max(0.05, timeout_seconds - passed)))


def wait_ready(kubernetes: Kubernetes, name: str, *, timeout_seconds: float) -> None:
    """Until its kubelet says that it is ready. Raises TransientError with the reason why not."""
    kubernetes.wait(node(name), condition("Ready"), timeout_seconds=timeout_seconds)


def _evicted(kubernetes: Kubernetes, name: str) -> dict[str, str]:
    """The pods that are still there, each with what it waits for; all were told to go."""
    return {_name(each): _evict(kubernetes, each) for each in _to_leave(kubernetes, name)}


def _let_go(kubernetes: Kubernetes, pod: Object) -> str:
    return _ALONE if _controller(pod) is None else _evict(kubernetes, pod)


def _evict(kubernetes: Kubernetes, pod: Object) -> str:
    if pod["metadata"].get("deletionTimestamp"):
        return _ENDING
    about = {key: pod["metadata"][key] for key in ("name", "namespace")}
    action = f"evict {_name(pod)}"
    resource = kubernetes.connection.resource(Kind("v1", "Pod"), action)
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": about,
        # Another pod of the same name, as a StatefulSet makes, is not the one that was looked at.
        "deleteOptions": {"preconditions": {"uid": pod["metadata"]["uid"]}},
    }
    try:
        kubernetes.connection.send(
            "POST", f"{resource.path(**about)}/eviction", action=action, body=body,
            retry_seconds=0.0,
        )  # fmt: skip
    except NotFound:
        return _GONE
    except TransientError as error:
        # Most often a budget, which allows it once another pod of its set is up.
        return error.reason.rstrip(".")
    return _TOLD


def _to_leave(kubernetes: Kubernetes, *names: str) -> list[Object]:
    """The pods that have to go: all but those of DaemonSets, of the kubelet, and ended ones."""
    return [
        each
        for each in kubernetes.listed(Kind("v1", "Pod"))
        if each.get("spec", {}).get("nodeName") in names
        and each.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        and "kubernetes.io/config.mirror" not in (each["metadata"].get("annotations") or {})
        and (_controller(each) or {}).get("kind") != "DaemonSet"
    ]


def _controller(pod: Object) -> Mapping[str, Any] | None:
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((each for each in owners if each.get("controller")), None)


def _found(kubernetes: Kubernetes, name: str, verb: str) -> Object:
    found = kubernetes.get(node(name))
    if found is None:
        hint = "`kubectl get nodes` lists them"
        raise NotFound(SYSTEM, f"{verb} {name}", "there is no such node", hint=hint)
    return found


def _name(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _several(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
