"""A switch's ports on the systems: nodes of a real Slurm, of the API server double, domains."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_assets.machines.gpus.adapters import OURS, KubernetesNodes, LibvirtMachines, SlurmNodes
from cloud_assets.machines.gpus.site import GpuSite
from resources.errors import DeadlineExceeded
from resources.kubernetes import Kubernetes, nodes
from resources.libvirt import domains
from resources.slurm import Slurm
from tests.doubles.kubernetes import ApiServer
from tests.machines.gpus import site as sites
from tests.machines.gpus.site import GPU, SERVES, TRAINS, machine
from tests.slurm.cell import Running

SECONDS = 60.0


def quiet(_: str) -> None:
    """Nobody listens."""


@pytest.fixture
def kubernetes(tmp_path: Path) -> Iterator[Kubernetes]:
    with ApiServer() as server:
        client = Kubernetes(server.kubeconfig(tmp_path), retry_seconds=2.0)
        client.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "gpu-worker-01"},
                      "spec": {}})  # fmt: skip
        yield client


def is_closed(kubernetes: Kubernetes) -> bool:
    node = kubernetes.get(nodes.node("gpu-worker-01"))
    assert node is not None
    return bool(node["spec"].get("unschedulable"))


def test_a_node_of_kubernetes_is_known_by_its_name(kubernetes: Kubernetes) -> None:
    found = KubernetesNodes(kubernetes, SECONDS, SECONDS)
    desired = sites.site().desired
    assert found.of(machine(desired, SERVES)).name == "gpu-worker-01"
    unknown = found.of(machine(desired, "cloud-cpu-worker-01"))
    assert (unknown.name, unknown.why) == ("", "Kubernetes has no node of that name or address")


def test_a_machine_may_be_a_node_of_another_name(kubernetes: Kubernetes) -> None:
    desired = sites.site().desired
    other, lost = machine(desired, "cloud-cpu-worker-01"), machine(desired, SERVES)
    names = {other.name: "gpu-worker-01", lost.name: "gone"}
    found = KubernetesNodes(kubernetes, SECONDS, SECONDS, names)
    assert found.of(other).name == "gpu-worker-01"
    assert "`platform.kubernetes.nodes` names" in found.of(lost).why


def test_a_node_is_not_ready_where_we_closed_it_or_nothing_is_heard_of_it(
    kubernetes: Kubernetes,
) -> None:
    found = KubernetesNodes(kubernetes, SECONDS, SECONDS)
    wanted = machine(sites.site().desired, SERVES)
    assert not found.of(wanted).is_ready
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    kubernetes.patch(nodes.node("gpu-worker-01"), {"status": ready})
    assert found.of(wanted).is_ready
    nodes.cordon(kubernetes, "gpu-worker-01", "a test")
    assert not found.of(wanted).is_ready


def test_a_node_of_kubernetes_is_closed_and_opened(kubernetes: Kubernetes) -> None:
    found = KubernetesNodes(kubernetes, SECONDS, SECONDS)
    found.empty("gpu-worker-01", "a test", quiet)
    assert is_closed(kubernetes)
    found.admit("gpu-worker-01")
    assert not is_closed(kubernetes)


@pytest.fixture
def slurm(slurm_cell: Running) -> Iterator[Slurm]:
    found = Slurm(slurm_cell.configuration)
    yield found
    found.resume(slurm_cell.node)


@pytest.mark.slurm
def test_a_node_of_slurm_is_emptied_and_opened(slurm: Slurm, slurm_cell: Running) -> None:
    found = SlurmNodes(slurm, SECONDS, SECONDS)
    wanted = replace(machine(sites.site().desired, TRAINS), hostname=slurm_cell.node)
    name = found.of(wanted).name
    assert name == slurm_cell.node
    found.empty(name, "GPU goes", quiet)
    node = slurm.node(name)
    assert node is not None
    assert (node.is_drained, node.reason) == (True, f"{OURS}GPU goes")
    found.admit(name)
    found.wait_ready(name, quiet)


@pytest.mark.slurm
def test_a_node_of_slurm_that_somebody_closed_stays_closed(
    slurm: Slurm, slurm_cell: Running
) -> None:
    slurm.drain(slurm_cell.node, "a bad fan")
    SlurmNodes(slurm, SECONDS, SECONDS).admit(slurm_cell.node)
    node = slurm.node(slurm_cell.node)
    assert node is not None
    assert node.takes_no_jobs


def test_a_machine_is_started_and_stopped_twice(site: GpuSite) -> None:
    found = LibvirtMachines(site.connection, site.desired, SECONDS)
    for _ in range(2):
        found.start(TRAINS)
        assert (found.holder(GPU), found.is_active(TRAINS)) == (TRAINS, True)
    for _ in range(2):
        found.stop(TRAINS, quiet)
        assert (found.holder(GPU), found.is_active(TRAINS)) == (None, False)


def test_a_machine_that_does_not_hear_is_cut_off(
    site: GpuSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf(*_: object, **__: object) -> bool:
        raise DeadlineExceeded("libvirt", "shut it down", "it is running")

    monkeypatch.setattr(domains, "shutdown", deaf)
    found = LibvirtMachines(site.connection, site.desired, 0.1)
    found.start(TRAINS)
    said: list[str] = []
    found.stop(TRAINS, said.append)
    assert not found.is_active(TRAINS)
    assert said == [f"{TRAINS} does not shut down within 0.1 s, so it is cut off"]
