"""Kubernetes through its API: server-side apply as `ai-how`, waiting, reasons in one sentence."""

from resources.kubernetes.api.failures import FieldConflict
from resources.kubernetes.changes import Change
from resources.kubernetes.client import Kubernetes
from resources.kubernetes.conditions import Condition, condition, deleted, exists, rolled_out
from resources.kubernetes.port_forward import port_forward
from resources.kubernetes.reasons.cause import Cause, Trouble
from resources.kubernetes.reasons.scarcity import offered
from resources.kubernetes.reference import Kind, Object, Reference
from resources.kubernetes.sets import Prune, apply_all, members

__all__ = [
    "Cause",
    "Change",
    "Condition",
    "FieldConflict",
    "Kind",
    "Kubernetes",
    "Object",
    "Prune",
    "Reference",
    "Trouble",
    "apply_all",
    "condition",
    "deleted",
    "exists",
    "members",
    "offered",
    "port_forward",
    "rolled_out",
]
