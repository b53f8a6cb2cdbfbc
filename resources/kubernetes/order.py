"""The order in which manifests can be applied, and the labels of every object of ours. Pure."""

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

from resources.errors import UsageError
from resources.kubernetes.reference import Object, Reference

FIELD_MANAGER = "ai-how"
MANAGED_BY = "app.kubernetes.io/managed-by"
PART_OF = "app.kubernetes.io/part-of"

_LABEL = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")
_STEPS = (
    {"Namespace"},
    {"CustomResourceDefinition"},
    {"PriorityClass", "StorageClass", "RuntimeClass", "IngressClass"},
    {"ResourceQuota", "LimitRange"},
    {"ServiceAccount"},
    {"ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding"},
    {"ConfigMap", "Secret"},
    {"PersistentVolume", "PersistentVolumeClaim"},
    {"Service"},
    {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod"},
    {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "APIService",
     "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"},
)  # fmt: skip
_STEP_OF = {kind: step for step, kinds in enumerate(_STEPS) for kind in kinds}


def in_order(manifests: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What others need comes first: namespaces, definitions, rights, configuration, services,
    workloads, webhooks, then the rest; within a step as given.
    """
    return sorted(manifests, key=lambda each: step(str(each.get("kind", ""))))


def step(kind: str) -> int:
    """The rank of a kind; custom resources come last, after the webhooks that judge them."""
    return _STEP_OF.get(kind, len(_STEPS))


def labels(part_of: str) -> dict[str, str]:
    """What an object of the set has. Raises UsageError for what no label can hold."""
    if not _LABEL.match(part_of):
        raise UsageError(
            f"`{part_of}` cannot be the value of a label",
            hint="up to 63 letters, digits, `.`, `_` and `-`, at both ends a letter or digit",
        )
    return {MANAGED_BY: FIELD_MANAGER, PART_OF: part_of}


def labelled(manifest: Mapping[str, Any], part_of: str) -> Object:
    """A copy of the manifest that carries the labels of its set."""
    copied: Object = copy.deepcopy(dict(manifest))
    about = copied.setdefault("metadata", {})
    about["labels"] = {**(about.get("labels") or {}), **labels(part_of)}
    return copied


def without_doubles(manifests: Iterable[Mapping[str, Any]]) -> list[Reference]:
    """What the manifests name. Raises UsageError where two of them are one object."""
    found = [Reference.of(each) for each in manifests]
    twice = sorted({str(each) for each in found if found.count(each) > 1})
    if twice:
        raise UsageError(f"the manifests hold twice: {', '.join(twice)}", hint="keep one of them")
    return found
