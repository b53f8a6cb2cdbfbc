"""How many machines take work, as their scheduler says; who is silent keeps nobody waiting."""

import pytest

from cloud_assets.machines.power.readiness import readiness
from cloud_assets.machines.power.schedulers import Schedulers
from cloud_assets.settings import Settings
from resources.kubernetes import nodes
from tests.machines.conftest import cloud, hpc, wanted
from tests.machines.power.conftest import WORKER, Nodes

HPC, CLOUD = wanted(hpc=hpc(), cloud=cloud()).clusters


def test_nodes_of_kubernetes_are_counted(kubernetes: Nodes) -> None:
    status = {"conditions": [{"type": "Ready", "status": "False"}]}
    about = {"name": "control-plane"}
    kubernetes.client.apply(
        {"apiVersion": "v1", "kind": "Node", "metadata": about, "spec": {}, "status": status}
    )
    found = readiness(CLOUD, Schedulers(kubernetes.settings, 3.0))
    assert str(found) == "Kubernetes: 1/2 nodes ready"
    assert found.nodes == {
        "cloud-control-plane": "not ready", "cloud-cpu-worker-01": "ready"
    }  # fmt: skip


def test_a_closed_node_is_not_ready_for_work(kubernetes: Nodes) -> None:
    kubernetes.client.patch(nodes.node(WORKER), {"spec": {"unschedulable": True}})
    found = readiness(CLOUD, Schedulers(kubernetes.settings, 3.0))
    assert (found.ready, found.nodes["cloud-cpu-worker-01"]) == (0, "closed")


def test_a_server_without_our_nodes_says_so(kubernetes: Nodes) -> None:
    kubernetes.client.delete(nodes.node(WORKER))
    found = readiness(CLOUD, Schedulers(kubernetes.settings, 3.0))
    assert str(found) == "Kubernetes: none of the machines is a node of it"


def test_a_server_that_is_out_of_order_is_asked_once(kubernetes: Nodes) -> None:
    kubernetes.server.fail(503, times=9)
    found = readiness(CLOUD, Schedulers(kubernetes.settings, 3.0))
    assert str(found).startswith("Kubernetes: not asked, ")
    assert len(kubernetes.server.failures) == 8


@pytest.mark.parametrize("cluster", [HPC, CLOUD])
def test_without_a_scheduler_there_is_none_to_ask(cluster: object) -> None:
    found = readiness(HPC if cluster is HPC else CLOUD, Schedulers(Settings(), 3.0))
    assert not found.is_named
    assert "skipped, no" in str(found)
