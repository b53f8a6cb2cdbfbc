"""How long each trouble of a start is waited out, whose fault it then is, what mends it. Pure.

`RULES` is the one place where that is decided. What has no row is waited out until the deadline.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from resources.errors import NeedsRepair, PermanentError, TransientError
from resources.kserve import runtimes
from resources.kubernetes import Cause, Object, Trouble

INITIALIZER = "storage-initializer"
#: Troubles that KServe alone knows of; `about` is its `lastFailureInfo.reason`.
RUNTIME = "runtime"
CONTROLLER = "controller"
SERVER_AWAY = "server away"


class Fault(StrEnum):
    """Whose it is: the site's holds a checkpoint, its own rejects it, a passing one is retried."""

    SITE = "site"
    CHECKPOINT = "checkpoint"
    PASSING = "passing"


ERRORS: Mapping[Fault, type[PermanentError] | type[TransientError]] = {
    Fault.SITE: NeedsRepair,
    Fault.CHECKPOINT: PermanentError,
    Fault.PASSING: TransientError,
}


@dataclass(frozen=True)
class Rule:
    """The start is given up once the trouble is there `seconds` after it was first seen."""

    seconds: float
    fault: Fault = Fault.SITE
    hint: str = ""


_TIME = "give `serving.timeout_seconds` more, or see what keeps the cluster busy"
_IMAGE = "correct `image` in `serving.cluster.runtimes`, or import the image into the nodes"
_MEMORY = (
    "raise the memory limit (a LimitRange of the namespace, or that of KServe's storage "
    "initializer), or serve a smaller model"
)
_STORE = (
    "check that the bucket and its objects are there, and that the credentials the platform was "
    "started with may read them"
)
_NODE = "bring the node back, or remove it from the cluster; its pod is started on another one"
_ROOM = "free or add a node, or ask for less in `serving.cluster.runtimes`"
_QUOTA = "raise the ResourceQuota of the namespace, or ask for less"
_REFUSED = "correct what the sentence names: a missing Secret, a LimitRange, a policy"
_CONTROLLER = "see whether KServe's controller runs: `kubectl get pods -n kserve`"
_RUNTIME = "take back what was changed in the ServingRuntime, or delete it: it is made anew"

#: By the trouble and the container or reason that it is about; an empty one is any other.
RULES: Mapping[tuple[str, str], Rule] = {
    # Nothing will pull it, and no other try gives another name.
    (Trouble.IMAGE_NAME, ""): Rule(0, hint=_IMAGE),
    # Registries have bad moments. The kubelet tries at 0, 10 and 30 s: by then twice in vain.
    (Trouble.IMAGE_PULL, ""): Rule(30, hint=_IMAGE),
    # The same weights need the same memory the next time.
    (Trouble.OUT_OF_MEMORY, ""): Rule(0, hint=_MEMORY),
    # Whoever reads a bucket has read nothing of the checkpoint yet: never the checkpoint's fault.
    # A store that restarts is back by the second try, which the kubelet makes at once.
    (Trouble.ENDED, INITIALIZER): Rule(8, hint=_STORE),
    # A server that ends by itself does so on every start of these weights. It is looked at twice:
    # the pod may be the one before, which a change to the slot is just replacing.
    (Trouble.ENDED, runtimes.CONTAINER): Rule(2, Fault.CHECKPOINT),
    # By a signal, so from outside; the kubelet starts it again. After that it is no accident.
    (Trouble.KILLED, ""): Rule(60, hint="see what ends it: a node out of memory, or a person"),
    # A Secret or ConfigMap that was made a moment ago reaches the kubelet a little later.
    (Trouble.CANNOT_START, ""): Rule(15, hint="act on the kubelet's words"),
    # The port opens once the model is loaded, or when it cannot be: then it answers so for ever.
    (Trouble.UNHEALTHY, ""): Rule(10, Fault.CHECKPOINT),
    # What has just been released may still be counted.
    (Trouble.QUOTA, ""): Rule(30, hint=_QUOTA),
    # A policy or a missing Secret; whoever mends it takes longer than a few seconds.
    (Trouble.POD_REFUSED, ""): Rule(10, hint=_REFUSED),
    # Deleted meanwhile: the next try makes it anew.
    (RUNTIME, "RuntimeNotRecognized"): Rule(5, Fault.PASSING, _RUNTIME),
    # Somebody changed it: disabled, or for other models.
    (RUNTIME, ""): Rule(5, hint=_RUNTIME),
    # A place may become free, or a node be added, at any time.
    (Trouble.UNSCHEDULABLE, ""): Rule(math.inf, hint=_ROOM),
    # The pod gets another node after a while.
    (Trouble.NODE_LOST, ""): Rule(math.inf, hint=_NODE),
    # They are restarted, and go on where they were.
    (Trouble.WEBHOOK_AWAY, ""): Rule(math.inf, hint=_CONTROLLER),
    (CONTROLLER, ""): Rule(math.inf, hint=_CONTROLLER),
    (SERVER_AWAY, ""): Rule(math.inf, Fault.PASSING),
}
_OTHER = Rule(math.inf, hint=_TIME)


def rule_of(cause: Cause) -> Rule:
    """The row of a cause."""
    found = (RULES.get((cause.trouble, about)) for about in (cause.about, ""))
    return next((each for each in found if each is not None), _OTHER)


def cause_of(found: Object | None, told: Cause) -> Cause:
    """What the cluster told of an InferenceService, and KServe's own verdict where it has one."""
    if found is None:
        return told
    status = found.get("status") or {}
    model = status.get("modelStatus") or {}
    failure = model.get("lastFailureInfo") or {}
    if model.get("transitionStatus") == "InvalidSpec":
        words = f"{failure.get('reason', 'InvalidSpec')}: {failure.get('message', '')}".strip(": ")
        # The event names the runtime, the status only says that there is none.
        words = told.sentence if told.trouble == Trouble.WARNING else words
        return Cause(RUNTIME, words, str(failure.get("reason", "")))
    if told.trouble == Trouble.UNKNOWN and not status:
        return Cause(CONTROLLER, "KServe has not acted on it: its controller may be down")
    return told


@dataclass
class Patience:
    """What one start has met so far; `now` is any clock in seconds that goes on."""

    _first: dict[Rule, float] = field(default_factory=dict)

    def given_up(self, cause: Cause, now: float) -> bool:
        """Whether the cause has gone on for too long.

        It need not have been there all the time: a container that crashes also runs in between.
        """
        rule = rule_of(cause)
        return now - self._first.setdefault(rule, now) >= rule.seconds
