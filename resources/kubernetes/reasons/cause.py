"""What holds an object up: the kinds of trouble that a cluster knows, and one sentence of it."""

from dataclasses import dataclass
from enum import StrEnum


class Trouble(StrEnum):
    """By what the cluster's own components tell apart; who waits decides what each is worth."""

    ABSENT = "absent"
    DELETING = "deleting"
    NODE_LOST = "node lost"
    #: The name is wrong, or the image must be there already and is not: nothing is pulled.
    IMAGE_NAME = "image name"
    IMAGE_PULL = "image pull"
    OUT_OF_MEMORY = "out of memory"
    #: By a signal from outside: a drain, or a node that has no memory left.
    KILLED = "killed"
    ENDED = "ended"
    CANNOT_START = "cannot start"
    UNSCHEDULABLE = "unschedulable"
    POD_FAILED = "pod failed"
    #: The three ways in which pods are refused before there are any.
    QUOTA = "quota"
    WEBHOOK_AWAY = "webhook away"
    POD_REFUSED = "pod refused"
    #: It answers its probe, and not with a success.
    UNHEALTHY = "unhealthy"
    WARNING = "warning"
    CONDITION = "condition"
    NOT_READY = "not ready"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Cause:
    """One sentence without a full stop; `about` is the container's name where it is of one."""

    trouble: str
    sentence: str
    about: str = ""
