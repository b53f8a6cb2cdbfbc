"""The cloud's Kubernetes as the API server double has it, with settings that name it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cloud_assets.machines.applying.progress import Step
from cloud_assets.settings import Settings
from resources.kubernetes import Kind, Kubernetes, nodes
from tests.doubles.kubernetes import ApiServer

WORKER = "cpu-worker-01"


@dataclass
class Nodes:
    """A server with one worker, and whoever was told what."""

    server: ApiServer
    client: Kubernetes
    settings: Settings
    steps: list[str] = field(default_factory=list)

    def told(self, step: Step) -> None:
        self.steps.append(str(step))

    def pod(self, name: str, *, alone: bool = False, **about: Any) -> None:
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "1",
                 "controller": True}  # fmt: skip
        named = {"name": name, "namespace": "work", "ownerReferences": [] if alone else [owner]}
        spec = {"nodeName": WORKER, "containers": [{"name": "main", "image": "x"}]}
        self.client.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {**named, **about},
                           "spec": spec})  # fmt: skip

    def pods(self) -> list[str]:
        return sorted(each["metadata"]["name"] for each in self.client.listed(Kind("v1", "Pod")))

    @property
    def is_closed(self) -> bool:
        found = self.client.get(nodes.node(WORKER))
        assert found is not None
        return bool(found["spec"].get("unschedulable"))


@pytest.fixture
def kubernetes(tmp_path: Path) -> Iterator[Nodes]:
    with ApiServer() as server:
        path = server.kubeconfig(tmp_path)
        client = Kubernetes(path, retry_seconds=2.0)
        client.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": WORKER}, "spec": {},
                      "status": {"conditions": [{"type": "Ready", "status": "True"}]}})  # fmt: skip
        client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "work"}})
        given = {"kubernetes": {"kubeconfig": str(path)},
                 "machines": {"drain_timeout_seconds": 5}}  # fmt: skip
        yield Nodes(server, client, Settings.model_validate(given))
