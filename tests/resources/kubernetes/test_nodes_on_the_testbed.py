"""Emptying a node of a real cluster: what a budget allows, holds up, and opening it again."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from resources.errors import DeadlineExceeded
from resources.kubernetes import Kubernetes, Reference, nodes, rolled_out
from tests.testbed import pins
from tests.testbed.cluster import Cluster

pytestmark = [pytest.mark.testbed, pytest.mark.disruptive]

NAMESPACE = "test-drain"
LABELS = {"app": "drained"}


@pytest.fixture
def second(cluster: Cluster) -> Iterator[str]:
    if cluster.places is None or len(cluster.nodes) < 2:
        pytest.skip("the cluster is somebody else's, or has one node")
    yield cluster.nodes[1]
    cluster.kubectl("uncordon", cluster.nodes[1])


@pytest.fixture
def deployed(kubernetes: Kubernetes, second: str) -> Iterator[Reference]:
    """Two pods on the second node, with an emptyDir each, that may not be moved."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    kubernetes.apply(space)
    yield kubernetes.apply(_deployment(second)).reference
    kubernetes.delete(Reference.of(space), wait_seconds=120)


def _deployment(near: str) -> dict[str, Any]:
    preferred = [{"weight": 100, "preference": {"matchExpressions": [
        {"key": "kubernetes.io/hostname", "operator": "In", "values": [near]}]}}]  # fmt: skip
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "drained", "namespace": NAMESPACE},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "affinity": {"nodeAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": preferred}},
                    "volumes": [{"name": "scratch", "emptyDir": {}}],
                    "containers": [{
                        "name": "main", "image": pins.BUSYBOX_IMAGE, "command": ["sleep", "3600"],
                        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                    }],
                },
            },
        },
    }  # fmt: skip


def budget(at_least: int) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "drained", "namespace": NAMESPACE},
        "spec": {"minAvailable": at_least, "selector": {"matchLabels": LABELS}},
    }


def where(cluster: Cluster) -> set[str]:
    pods = json.loads(cluster.kubectl("get", "pods", "-n", NAMESPACE, "-o", "json"))["items"]
    return {each["spec"]["nodeName"] for each in pods if each["spec"].get("nodeName")}


def test_a_budget_that_allows_one_at_a_time_lets_all_go(
    cluster: Cluster, kubernetes: Kubernetes, second: str, deployed: Reference
) -> None:
    kubernetes.apply(budget(1))
    kubernetes.wait(deployed, rolled_out(), timeout_seconds=90)
    assert second in where(cluster)
    assert nodes.drain(kubernetes, second, because="a test", timeout_seconds=120)
    kubernetes.wait(deployed, rolled_out(), timeout_seconds=90)
    assert second not in where(cluster)
    assert nodes.uncordon(kubernetes, second)
    nodes.wait_ready(kubernetes, second, timeout_seconds=30)


def test_a_budget_that_allows_none_holds_the_drain_up_until_it_changes(
    kubernetes: Kubernetes, second: str, deployed: Reference
) -> None:
    kubernetes.apply(budget(2))
    kubernetes.wait(deployed, rolled_out(), timeout_seconds=90)
    with pytest.raises(DeadlineExceeded, match="disruption budget"):
        nodes.drain(kubernetes, second, because="a test", timeout_seconds=3)
    later = threading.Timer(1, kubernetes.apply, [budget(1)])
    later.start()
    nodes.drain(kubernetes, second, because="a test", timeout_seconds=120)
    later.join()
