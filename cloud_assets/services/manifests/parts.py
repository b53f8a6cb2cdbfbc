"""What the manifests of several services are made of. Pure.

Pods run without rights: as a user of their own, on a read-only root, without the API's token.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resources.kubernetes import Object

NAME = "app.kubernetes.io/name"
#: A pod is made anew when either of them changes.
CREDENTIALS = "ai-how/credentials"
CONFIGURATION = "ai-how/configuration"


@dataclass(frozen=True)
class Named:
    """What names the objects of one service."""

    name: str
    namespace: str

    @property
    def labels(self) -> dict[str, str]:
        return {NAME: self.name}

    @property
    def host(self) -> str:
        """The name by which pods find it."""
        return f"{self.name}.{self.namespace}.svc"

    def about(self, suffix: str = "") -> Object:
        """The metadata of one of its objects."""
        name = f"{self.name}-{suffix}" if suffix else self.name
        return {"name": name, "namespace": self.namespace, "labels": self.labels}


@dataclass(frozen=True)
class Pod:
    """What differs between the pods of the services; `user` by number."""

    user: int
    containers: Sequence[Object]
    volumes: Sequence[Object]
    before: Sequence[Object] = ()
    annotations: Mapping[str, str] | None = None
    grace_seconds: int = 30


def namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def service(named: Named, port: int, *, headless: bool = False) -> Object:
    """The address of the pods, under the port's own number; headless where there is but one."""
    ports = [{"name": "main", "port": port, "targetPort": port}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": named.about(),
        "spec": {
            **({"clusterIP": "None"} if headless else {}),
            "selector": named.labels,
            "ports": ports,
        },
    }


def claim(named: Named, size: str, storage_class: str | None) -> Object:
    """The volume; it outlives the service."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": named.about(),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            **({"storageClassName": storage_class} if storage_class else {}),
            "resources": {"requests": {"storage": size}},
        },
    }


def configuration(named: Named, files: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": named.about("configuration"),
        "data": dict(files),
    }


def stateful_set(named: Named, pod: Pod) -> Object:
    """One pod that never runs twice at a time, however its node fares."""
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": named.about(),
        "spec": {
            "serviceName": named.name,
            "replicas": 1,
            "selector": {"matchLabels": named.labels},
            "template": template(named, pod),
        },
    }


def template(named: Named, pod: Pod) -> Object:
    """The pod template, with what keeps its containers without rights."""
    about = {"labels": named.labels}
    return {
        "metadata": {**about, "annotations": dict(pod.annotations)} if pod.annotations else about,
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": pod.user,
                "runAsGroup": pod.user,
                "fsGroup": pod.user,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "terminationGracePeriodSeconds": pod.grace_seconds,
            **({"initContainers": [_confined(each) for each in pod.before]} if pod.before else {}),
            "containers": [_confined(each) for each in pod.containers],
            "volumes": [*pod.volumes],
        },
    }


def resources(cpu: str, memory: str) -> Object:
    """Memory is bounded, so that one service cannot starve a node; processor time is not."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}


def from_secret(variable: str, secret: str, key: str) -> Object:
    """An environment variable whose value stands in no manifest."""
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def scratch(name: str, *, memory: bool = False) -> Object:
    """An empty volume that goes with the pod."""
    return {"name": name, "emptyDir": {"medium": "Memory"} if memory else {}}


def mounted(name: str, path: str, *, read_only: bool = False, below: str = "") -> Object:
    found: dict[str, Any] = {"name": name, "mountPath": path}
    found |= {"readOnly": True} if read_only else {}
    return found | ({"subPath": below} if below else {})


def digest(files: Mapping[str, str]) -> str:
    """What changes when any of the files does."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]


def _confined(container: Object) -> Object:
    confined = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    return {**container, "imagePullPolicy": "IfNotPresent", "securityContext": confined}
