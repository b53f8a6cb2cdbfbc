"""Why an endpoint's autoscaler does not do its work, as KEDA 2.20 and Kubernetes tell it. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from resources.kserve.endpoints.scaling import SCALED_OBJECT
from resources.kserve.runtimes import PORT
from resources.kubernetes import Object
from resources.kubernetes.conditions import condition_of

_SETTING = "serving.cluster.autoscaling.prometheus"
#: KEDA's condition says only that something is wrong; what it is stands in its last such event.
_FAILED = "KEDAScalerFailed"
_ASKED = re.compile(r'^Get "[^"]*": ')
_SELECTOR = re.compile(r"/&LabelSelector\{.*\},\}")
_EMPTY = re.compile(r"the (result|value list) is empty$")


@dataclass(frozen=True)
class Unscaled:
    """The number of pods stays as it is, and what would mend it."""

    reason: str
    fix: str


def unscaled(found: Object, events: Sequence[Object] = ()) -> Unscaled | None:
    """What is wrong with an autoscaler, by its status and its events, oldest first."""
    name = found["metadata"]["name"]
    if found["kind"] != SCALED_OBJECT.kind:
        active = condition_of(found, "ScalingActive")
        if active.get("status") != "False":
            return None
        return Unscaled(f"{name}: {active.get('message', '')}", "see that metrics-server runs")
    ready, active = condition_of(found, "Ready"), condition_of(found, "HPAActive")
    if not ready.get("reason"):
        return Unscaled(f"{name}: KEDA has not looked at it", "see that KEDA's operator runs")
    if ready.get("status") == "True":
        # KEDA looks every half minute: what it said before is of another time.
        said = _SELECTOR.sub("", str(active.get("message", "")))
        fix = "look again in half a minute, when KEDA has looked, too"
        return Unscaled(f"{name}: {said}", fix) if active.get("status") == "False" else None
    failures = [str(each.get("message", "")) for each in events if each.get("reason") == _FAILED]
    if failures:
        return _unread(found, failures[-1])
    fix = f"`kubectl describe scaledobject {name}` has more"
    return Unscaled(f"{name}: {ready.get('message', '')}", fix)


def _unread(found: Object, failure: str) -> Unscaled:
    about, [first, *_] = found["metadata"], found["spec"]["triggers"]
    prometheus = first["metadata"]["serverAddress"]
    if _EMPTY.search(failure):
        return Unscaled(
            f"{about['name']}: {prometheus} knows no vllm:num_requests_running of its pods",
            f"let that Prometheus scrape port {PORT} of the pods in {about['namespace']}, "
            "with the labels `namespace` and `pod`",
        )
    said = _ASKED.sub("", failure)
    fix = f"let that Prometheus answer, or correct {_SETTING}"
    return Unscaled(f"{about['name']}: KEDA cannot ask {prometheus}: {said}", fix)
