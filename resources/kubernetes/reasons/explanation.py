"""Why an object is not what it should be: objects, events and logs in, one sentence out. Pure.

The cause that lies deepest counts: a container before its pod, a pod before what made it. Only a
lost node comes before containers: what these say was true before it was lost.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from resources.kubernetes.conditions import condition_of, is_lost
from resources.kubernetes.reasons.cause import Cause, Trouble
from resources.kubernetes.reference import Object

_LONGEST = 300
#: By reason and message of an event. A container says nothing while its image is pulled again.
_WARNINGS = (
    (re.compile(r"Unhealthy .*failed with statuscode"), Trouble.UNHEALTHY),
    (re.compile(r"Failed (Failed to pull image|Error: (ErrImagePull|ImagePullBackOff))"),
     Trouble.IMAGE_PULL),
)  # fmt: skip
_IMAGES = {
    "InvalidImageName": Trouble.IMAGE_NAME,
    "ErrImageNeverPull": Trouble.IMAGE_NAME,
    "ErrImagePull": Trouble.IMAGE_PULL,
    "ImagePullBackOff": Trouble.IMAGE_PULL,
    "RegistryUnavailable": Trouble.IMAGE_PULL,
}
#: 128 and the number of SIGKILL or SIGTERM.
_KILLED = (137, 143)
#: Words of the API server, by which alone a refused pod tells who refused it.
_REFUSALS = {
    "exceeded quota": Trouble.QUOTA,
    "failed calling webhook": Trouble.WEBHOOK_AWAY,
}
#: Waiting that is no trouble by itself.
_UNDER_WAY = ("ContainerCreating", "PodInitializing", "")
_NOT_YET = ("Progressing", "PodReadyToStartContainers")


@dataclass(frozen=True)
class Evidence:
    """What was found of an object: itself, what it made, their events, nodes, and log tails.

    `logs` has the last lines of a container under `(pod, container)`; `scarce` what an unplaced pod
    wants and no node has free, by the pod's name.
    """

    found: Object | None
    made: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    events: Sequence[Object] = ()
    logs: Mapping[tuple[str, str], str] = field(default_factory=dict)
    scarce: Mapping[str, str] = field(default_factory=dict)
    nodes: Sequence[Object] = ()


def explain(evidence: Evidence) -> str:
    """The sentence of `diagnose`; what the cluster itself says is in it."""
    return diagnose(evidence).sentence


def diagnose(evidence: Evidence) -> Cause:
    """The one cause that counts."""
    if evidence.found is None:
        return Cause(Trouble.ABSENT, "there is no such object")
    held = _why_it_stays(evidence.found)
    if held:
        return Cause(Trouble.DELETING, held)
    pods = _present(evidence.pods)
    objects = [*evidence.made, evidence.found]
    for causes in (
        _of_nodes(pods, evidence.nodes),
        _of_containers(pods, evidence),
        _of_scheduling(pods, evidence.scarce),
        _of_pods(pods),
        _of_refusals(objects),
        _of_events(evidence.events),
        _of_conditions(objects, status="False"),
        _of_waiting(pods),
        _of_conditions(objects, status="Unknown"),
    ):
        for cause in causes:
            return cause
    return Cause(Trouble.UNKNOWN, "nothing in the cluster says why")


def troubled(pods: Iterable[Object]) -> Iterator[tuple[str, str, bool]]:
    """The containers whose logs tell more: pod, container, and whether of its last attempt."""
    for pod in pods:
        for each, _ in _containers(pod):
            state = each.get("state") or {}
            waits = "waiting" in state and each.get("lastState")
            if waits or _exit_code(state) or ("running" in state and not each.get("ready")):
                yield pod["metadata"]["name"], each["name"], bool(waits)


def _why_it_stays(found: Object) -> str | None:
    about = found["metadata"]
    if "deletionTimestamp" not in about:
        return None
    holders = ", ".join(about.get("finalizers") or ())
    return f"it is being deleted, held by {holders}" if holders else "it is being deleted"


def _present(pods: Sequence[Object]) -> list[Object]:
    """The newest first; what is ending says nothing where another has taken its place."""
    living = [each for each in pods if "deletionTimestamp" not in each["metadata"]]
    return sorted(living or pods, key=_age, reverse=True)


def _of_nodes(pods: Iterable[Object], nodes: Iterable[Object]) -> Iterator[Cause]:
    lost = {each["metadata"]["name"]: each for each in nodes if is_lost(each)}
    for pod in pods:
        node = lost.get((pod.get("spec") or {}).get("nodeName", ""))
        if node is not None:
            name, where = pod["metadata"]["name"], node["metadata"]["name"]
            said = _shortened(str(condition_of(node, "Ready").get("message", "")))
            reason = f"the node {where} of pod {name} is not ready: {said}"
            yield Cause(Trouble.NODE_LOST, reason)


def _of_containers(pods: Iterable[Object], evidence: Evidence) -> Iterator[Cause]:
    for pod in pods:
        for each, role in _containers(pod):
            who = f"{role} {each['name']} of pod {pod['metadata']['name']}"
            words = evidence.logs.get((pod["metadata"]["name"], each["name"]), "")
            cause = _of_container(each, who, _shortened(words))
            if cause:
                yield cause


def _of_container(status: Object, who: str, words: str) -> Cause | None:
    state, last = status.get("state") or {}, status.get("lastState") or {}
    waiting = state.get("waiting") or {}
    why = str(waiting.get("reason", ""))
    said = _shortened(str(waiting.get("message", "")))
    if why in _IMAGES:
        trouble = _IMAGES[why]
        reason = f"{who} cannot have its image {status.get('image')}: {said or why}"
    elif "OOMKilled" in (_end(state).get("reason"), _end(last).get("reason")):
        trouble = Trouble.OUT_OF_MEMORY
        reason = f"{who} was killed for using more memory than its limit (OOMKilled)"
    elif why == "CrashLoopBackOff" or _exit_code(state):
        ended = _end(state) or _end(last)
        trouble = Trouble.KILLED if ended.get("exitCode") in _KILLED else Trouble.ENDED
        reason = f"{who} ended with exit status {ended.get('exitCode', '?')}" + _times(status)
        reason += _quoted(words or str(ended.get("message", "")))
    elif why not in _UNDER_WAY:
        trouble = Trouble.CANNOT_START
        reason = f"{who} cannot start ({why}): {said}"
    else:
        return None
    return Cause(trouble, reason, str(status.get("name", "")))


def _of_scheduling(pods: Iterable[Object], scarce: Mapping[str, str]) -> Iterator[Cause]:
    for pod in pods:
        placed = condition_of(pod, "PodScheduled")
        if placed.get("status") == "False":
            name = pod["metadata"]["name"]
            said = scarce.get(name) or _shortened(str(placed.get("message", "")))
            reason = f"no node takes pod {name}: {said or placed.get('reason')}"
            yield Cause(Trouble.UNSCHEDULABLE, reason)


def _of_pods(pods: Iterable[Object]) -> Iterator[Cause]:
    for pod in pods:
        status = pod.get("status") or {}
        if status.get("phase") == "Failed":
            said = _shortened(str(status.get("message") or ""))
            name = pod["metadata"]["name"]
            reason = f"pod {name} failed ({status.get('reason', 'Failed')}): {said}"
            yield Cause(Trouble.POD_FAILED, reason)


def _of_refusals(found: Iterable[Object]) -> Iterator[Cause]:
    """Pods that there are none of, since somebody refuses them."""
    for each in found:
        condition = condition_of(each, "ReplicaFailure")
        if condition.get("status") == "True" and condition.get("message"):
            said = _said(each, condition)
            troubles = (trouble for words, trouble in _REFUSALS.items() if words in said)
            yield Cause(next(troubles, Trouble.POD_REFUSED), said)


def _of_conditions(found: Iterable[Object], *, status: str) -> Iterator[Cause]:
    """What objects say of themselves in words."""
    for each in found:
        for condition in _conditions(each):
            if condition.get("status") == status and condition.get("message"):
                yield Cause(Trouble.CONDITION, _said(each, condition))


def _said(found: Object, condition: Object) -> str:
    who = f"{found['kind']} {found['metadata']['name']}"
    state = f"{condition.get('type')}={condition.get('status')}"
    return f"{who} says {state}: {_shortened(str(condition.get('message', '')))}"


def _of_events(events: Sequence[Object]) -> Iterator[Cause]:
    warnings = [each for each in events if each.get("type") == "Warning"]
    # Whether a pod is scheduled now stands in its conditions.
    warnings = [each for each in warnings if each.get("reason") != "FailedScheduling"]
    for each in sorted(warnings, key=when, reverse=True):
        regards = each.get("involvedObject") or {}
        who = f"{regards.get('kind', 'it')} {regards.get('name', '')}".strip()
        said = _shortened(str(each.get("message", "")))
        reason = f"{who}: {each.get('reason', 'warning')}: {said}"
        told = f"{each.get('reason')} {said}"
        troubles = (trouble for words, trouble in _WARNINGS if words.match(told))
        yield Cause(next(troubles, Trouble.WARNING), reason)


def _of_waiting(pods: Iterable[Object]) -> Iterator[Cause]:
    for pod in pods:
        for each, role in _containers(pod):
            if not each.get("ready"):
                name = pod["metadata"]["name"]
                reason = f"{role} {each['name']} of pod {name} is not ready yet"
                yield Cause(Trouble.NOT_READY, reason, each["name"])


def _containers(pod: Object) -> Iterator[tuple[Object, str]]:
    status = pod.get("status") or {}
    for each in status.get("initContainerStatuses") or ():
        if _exit_code(each.get("state") or {}) != 0 or "terminated" not in each.get("state", {}):
            yield each, "init container"
    for each in status.get("containerStatuses") or ():
        if not ("terminated" in (each.get("state") or {}) and _exit_code(each["state"]) == 0):
            yield each, "container"


def _conditions(found: Object) -> list[Object]:
    listed = (found.get("status") or {}).get("conditions") or []
    return [each for each in listed if each.get("type") not in _NOT_YET]


def _end(state: Object) -> Object:
    return dict(state.get("terminated") or {})


def _exit_code(state: Object) -> int:
    return int(_end(state).get("exitCode", 0))


def _times(status: Object) -> str:
    count = int(status.get("restartCount", 0))
    return f" after {count} restart{'s' if count > 1 else ''}" if count else ""


def _quoted(words: str) -> str:
    return f"; its last words: {words}" if words else ""


def _age(pod: Object) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))


def when(event: Object) -> str:
    """The time of an event's last occurrence, which two APIs write in different places."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    made = event.get("metadata", {}).get("creationTimestamp")
    return str(next((each for each in (*times, made) if each), ""))


def _shortened(text: str) -> str:
    """The end of a text counts: the cause stands there in logs and in wrapped errors."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"… {line[-_LONGEST:]}"
