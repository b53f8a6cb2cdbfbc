"""From settings to what should exist: names, addresses and sizes, the same every time."""

from dataclasses import FrozenInstanceError
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from cloud_assets.machines.desired import Desired, Machine, Topology
from cloud_assets.machines.spec import desired, mac_address, machine_uuid
from cloud_assets.settings.machines import Clusters, Machines
from cloud_assets.settings_file import read_cluster_file

EXAMPLES = Path(__file__).parents[2] / "examples" / "clusters"
GIB = 2**30


def spec(name: str, **host: object) -> Desired:
    read = read_cluster_file(EXAMPLES / f"{name}.yaml")
    return desired(read.clusters, read.platform.machines.model_copy(update=host))


def machines(name: str) -> dict[str, Machine]:
    return {machine.name: machine for machine in spec(name).machines}


def test_names_are_those_of_the_earlier_tool() -> None:
    found = spec("earlier-style")
    assert [machine.name for machine in found.machines] == [
        "hpc-cluster-controller",
        "hpc-cluster-compute-01",
        "hpc-cluster-compute-02",
        "cloud-cluster-control-plane",
        "cloud-cluster-cpu-worker-01",
        "cloud-cluster-gpu-worker-01",
    ]
    cloud = found.clusters[1]
    assert (cloud.network.name, cloud.network.bridge) == ("cloud-cluster-network", "virbr200")
    assert cloud.pool.name == "cloud-cluster-pool"
    assert cloud.pool.path == Path("/var/lib/libvirt/images/cloud-cluster")


def test_hosts_are_called_as_in_the_inventory() -> None:
    assert [machine.hostname for machine in spec("earlier-style").machines] == [
        "controller", "compute-01", "compute-02", "control-plane", "cpu-worker-01", "gpu-worker-01",
    ]  # fmt: skip


def test_workers_of_each_kind_are_counted_on_their_own() -> None:
    found = [machine.hostname for machine in spec("many-gpus").machines]
    assert found == ["control-plane", "gpu-worker-01", "gpu-worker-02", "gpu-worker-03"]
    assert [each.hostname for each in spec("two-gpus").machines][-2:] == [
        "cpu-worker-01", "gpu-worker-01",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "mac"),
    [
        ("hpc-cluster-controller", "72:55:52:1e:8f:d9"),
        ("cloud-cluster-gpu-worker-01", "72:5f:e1:8d:76:58"),
    ],
)
def test_a_mac_is_the_earlier_tools(name: str, mac: str) -> None:
    assert mac_address(name) == mac


def test_a_mac_is_local_and_of_one_machine() -> None:
    first = [int(mac_address(f"vm-{number}")[:2], 16) for number in range(64)]
    assert {each & 0b11 for each in first} == {0b10}


def test_a_uuid_stays_and_differs_between_clusters() -> None:
    assert machine_uuid("hpc-cluster", "hpc-cluster-controller") == (
        "7c099643-33fa-5029-8ee5-766a2c34fc53"
    )
    assert machine_uuid("a", "x") != machine_uuid("b", "x")


def test_the_same_settings_are_the_same_machines() -> None:
    assert spec("shared-gpu") == spec("shared-gpu")


def test_the_host_has_the_first_address_and_leases_leave_room_for_fixed_ones() -> None:
    network = spec("shared-gpu").clusters[0].network
    assert str(network.gateway) == "192.168.100.1"
    assert (str(network.first), str(network.last)) == ("192.168.100.10", "192.168.100.254")


def test_fixed_addresses_are_reserved_and_others_are_not() -> None:
    network = spec("two-gpus").clusters[1].network
    [reserved] = network.reservations
    assert (reserved.name, reserved.ip) == ("control-plane", IPv4Address("192.168.200.10"))
    assert reserved.mac == machines("two-gpus")["cloud-control-plane"].mac
    assert machines("two-gpus")["cloud-gpu-worker-01"].ip is None


@pytest.mark.parametrize(("subnet", "first"), [("10.0.0.0/29", 2), ("10.0.0.0/28", 4)])
def test_a_small_network_has_leases_too(subnet: str, first: int) -> None:
    read = read_cluster_file(EXAMPLES / "cpu-only.yaml").clusters.model_dump(by_alias=True)
    hpc = {**read["hpc"], "network": {"subnet": subnet, "bridge": "b"}}
    hpc["controller"]["ip_address"] = "10.0.0.2"
    network = desired(Clusters.model_validate({"hpc": hpc}), Machines()).clusters[0].network
    assert network.first == network.subnet[first]
    assert network.first <= network.last


def test_a_machine_has_what_its_settings_say() -> None:
    worker = machines("shared-gpu")["cloud-gpu-worker-01"]
    assert (worker.vcpus, worker.memory.size_bytes) == (8, 32 * GIB)
    assert worker.auto_start is False
    assert worker.role == "gpu-worker"
    assert worker.gpus == ("0000:01:00.0",)
    assert worker.hostdevs == ("0000:01:00.0", "0000:01:00.1")
    assert (worker.network, worker.ip) == ("cloud-network", IPv4Address("192.168.200.12"))


def test_a_machine_has_its_own_image_else_the_clusters() -> None:
    found = machines("shared-gpu")
    own, other = found["cloud-gpu-worker-01"], found["cloud-cpu-worker-01"]
    assert own.image.name == "cloud-gpu.qcow2"
    assert other.image.name == "cloud.qcow2"
    assert own.volume.backing == own.image
    assert own.image.is_absolute()


def test_a_disk_is_an_overlay_in_the_clusters_pool() -> None:
    volume = machines("shared-gpu")["hpc-compute-01"].volume
    assert (volume.name, volume.pool) == ("hpc-compute-01.qcow2", "hpc-pool")
    assert volume.capacity_bytes == 200 * GIB


def test_the_pools_can_be_elsewhere() -> None:
    found = spec("shared-gpu", pool_root=Path("/srv/pools"))
    assert [each.pool.path for each in found.clusters] == [
        Path("/srv/pools/hpc"), Path("/srv/pools/cloud"),
    ]  # fmt: skip


def test_who_wants_a_gpu_is_known() -> None:
    users = spec("earlier-style").users()
    assert {gpu: [each.name for each in wanting] for gpu, wanting in users.items()} == {
        "0000:01:00.0": ["hpc-cluster-compute-01", "cloud-cluster-gpu-worker-01"],
        "0000:07:00.0": ["hpc-cluster-compute-02"],
    }


@pytest.mark.parametrize("acceleration", ["auto", "kvm", "tcg"])
def test_kvm_is_the_hosts_choice_unless_a_cluster_refuses_it(acceleration: str) -> None:
    found = spec("earlier-style", acceleration=acceleration)
    assert {machine.acceleration for machine in found.machines} == {acceleration}
    refused = spec("cpu-only", acceleration=acceleration)
    assert {each.acceleration for each in refused.clusters[0].machines} == {"tcg"}


def test_one_topology_is_for_machines_of_all_sizes() -> None:
    found = machines("earlier-style")
    assert found["hpc-cluster-controller"].processor.topology == Topology(1, 4, 1)
    assert found["hpc-cluster-compute-01"].processor.topology == Topology(1, 8, 1)
    assert machines("many-gpus")["cloud-control-plane"].processor.topology == Topology(1, 2, 2)


def test_features_are_added_or_taken_away() -> None:
    processor = machines("earlier-style")["hpc-cluster-controller"].processor
    assert processor.features == (("sse4.2", True), ("avx2", True))
    assert processor.model == "host-passthrough"


def test_huge_pages_and_pinning_are_the_clusters() -> None:
    worker = machines("many-gpus")["cloud-gpu-worker-01"]
    assert (worker.memory.hugepage_bytes, worker.processor.pinned) == (GIB, True)
    assert machines("shared-gpu")["hpc-controller"].memory.hugepage_bytes is None


def test_mounts_need_memory_that_is_shared() -> None:
    controller = machines("earlier-style")["hpc-cluster-controller"]
    assert controller.memory.shared
    assert [mount.tag for mount in controller.mounts] == ["project-repo", "datasets"]
    assert controller.mounts[1].host_path == Path("/srv/datasets")
    assert not machines("earlier-style")["hpc-cluster-compute-01"].memory.shared


def test_it_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        spec("cpu-only").machines[0].vcpus = 2  # type: ignore[misc]


def test_settings_that_are_not_consistent_are_refused() -> None:
    read = read_cluster_file(EXAMPLES / "shared-gpu.yaml").clusters
    assert read.hpc is not None
    without = read.model_copy(update={"hpc": read.hpc.model_copy(update={"base_image_path": None})})
    with pytest.raises(ValueError, match="hpc-controller is not consistent"):
        desired(without, Machines())
