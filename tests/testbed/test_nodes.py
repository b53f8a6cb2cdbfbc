"""That the nodes are two machines to Kubernetes: spreading, taints, drains, death and return."""

import json
from collections.abc import Iterator

import pytest

from tests.testbed import pins
from tests.testbed.cluster import Cluster

pytestmark = [pytest.mark.testbed, pytest.mark.disruptive]


@pytest.fixture
def second(cluster: Cluster) -> Iterator[str]:
    """The second node; whatever was done to it is undone."""
    if cluster.places is None or len(cluster.nodes) < 2:
        pytest.skip("the cluster is somebody else's, or has one node")
    name = cluster.nodes[1]
    yield name
    cluster.kubectl("uncordon", name)
    if "testbed" in json.dumps(cluster.kubectl.get("node", name)["spec"].get("taints", [])):
        cluster.kubectl("taint", "node", name, "testbed-")
    cluster.kubectl.wait(f"node/{name}", "condition=Ready")


def deployment(cluster: Cluster, namespace: str, *, replicas: int) -> None:
    """Pods that shall be spread over the nodes evenly."""
    labels = {"app": "spread"}
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }
    leaves = [
        {"key": f"node.kubernetes.io/{each}", "operator": "Exists", "tolerationSeconds": 1,
         "effect": "NoExecute"}
        for each in ("not-ready", "unreachable")
    ]  # fmt: skip
    container = {"name": "main", "image": pins.BUSYBOX_IMAGE, "command": ["sleep", "3600"]}
    pod = {
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "topologySpreadConstraints": [spread],
        "tolerations": leaves,
    }
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "spread"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    cluster.kubectl("apply", "-n", namespace, "-f", "-", text=json.dumps(manifest))
    available(cluster, namespace, replicas)


def available(cluster: Cluster, namespace: str, replicas: int) -> None:
    condition = f"jsonpath={{.status.availableReplicas}}={replicas}"
    cluster.kubectl.wait("deployment/spread", condition, "-n", namespace)


def where_pods_run(cluster: Cluster, namespace: str) -> list[str]:
    pods = cluster.kubectl.get("pods", "-n", namespace)["items"]
    return sorted(
        each["spec"]["nodeName"] for each in pods if "deletionTimestamp" not in each["metadata"]
    )


def test_pods_are_spread_over_the_nodes(cluster: Cluster, namespace: str, second: str) -> None:
    deployment(cluster, namespace, replicas=2)
    assert where_pods_run(cluster, namespace) == sorted(cluster.nodes)


def test_a_taint_keeps_pods_away(cluster: Cluster, namespace: str, second: str) -> None:
    cluster.kubectl("taint", "node", second, "testbed=gpu:NoSchedule")
    deployment(cluster, namespace, replicas=2)
    assert second not in where_pods_run(cluster, namespace)


def test_a_drained_node_is_left_by_its_pods(cluster: Cluster, namespace: str, second: str) -> None:
    deployment(cluster, namespace, replicas=2)
    cluster.kubectl("drain", second, "--delete-emptydir-data", "--timeout=60s")
    available(cluster, namespace, 2)
    assert second not in where_pods_run(cluster, namespace)


def test_pods_of_a_dead_node_start_elsewhere_and_the_node_comes_back(
    cluster: Cluster, namespace: str, second: str
) -> None:
    deployment(cluster, namespace, replicas=2)
    with cluster.without(second):
        cluster.kubectl.wait(f"node/{second}", "condition=Ready=Unknown")
        available(cluster, namespace, 2)
        assert second not in where_pods_run(cluster, namespace)
    cluster.kubectl.wait(f"node/{second}", "condition=Ready")


def test_the_api_server_comes_back_with_everything(
    cluster: Cluster, namespace: str, second: str
) -> None:
    with cluster.without("kube-apiserver"):
        pass
    cluster.until_it_answers()
    assert cluster.kubectl.get("namespace", namespace)["status"]["phase"] == "Active"
