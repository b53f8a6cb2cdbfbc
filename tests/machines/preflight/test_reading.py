"""Reading the facts of this very host, and asking a real libvirt for its own."""

from pathlib import Path

import pytest

from cloud_assets.machines import spec
from cloud_assets.machines.preflight import reading
from cloud_assets.settings.machines import Clusters, Machines
from resources.libvirt import Connection
from tests.hypervisor.cell import Hypervisor
from tests.machines.conftest import SMALL, Lab, hpc
from tests.resources.host.tree import Tree


@pytest.fixture
def host(tmp_path: Path) -> Machines:
    """Of emulated machines, so that no guest is tried by KVM."""
    key = tmp_path / "key.pub"
    key.write_text("ssh-ed25519 AAAA somebody\n")
    pools = tmp_path / "pools"
    return Machines(
        uri="qemu+unix:///system?socket=/nowhere", acceleration="tcg", pool_root=pools,
        ssh_public_key=key,
    )  # fmt: skip


@pytest.fixture
def clusters(tmp_path: Path) -> Clusters:
    """One cluster without devices on an image that is not there, with a directory that is."""
    mount = {"tag": "t", "host_path": str(tmp_path), "mount_point": "/mnt"}
    nodes = [{**SMALL, "ip": "DHCP", "virtio_fs_mounts": [mount]}]
    image = str(tmp_path / "none.qcow2")
    return Clusters.model_validate({"hpc": hpc(compute_nodes=nodes, base_image_path=image)})


def levels(clusters: Clusters, host: Machines) -> dict[str, str]:
    return {each.what.split(" ")[0]: each.level for each in reading.look(clusters, host)}


def test_this_host_is_read_and_nothing_is_made(clusters: Clusters, host: Machines) -> None:
    found = levels(clusters, host)
    assert found["libvirt"] == "fail"
    assert (found["SSH"], found["virtualisation"], found["image"]) == ("pass", "pass", "fail")
    assert "pool" in found
    assert not host.pool_root.exists()


def test_what_is_shared_taken_and_there_is_told(
    clusters: Clusters, host: Machines, tmp_path: Path
) -> None:
    wanted = spec.desired(clusters, host)
    disk = host.pool_root / "hpc" / "hpc-controller.qcow2"
    disk.parent.mkdir(parents=True)
    disk.write_bytes(b"x" * 8192)
    found = reading.facts(wanted, host, reading.libvirt(host.uri))
    assert found.taken["hpc-controller"] >= 8192
    assert found.taken["hpc-compute-01"] == 0
    assert found.shared == {tmp_path: True}
    assert (found.kvm.works, found.seen) == (None, None)
    assert found.pools[host.pool_root / "hpc"].is_there


def test_processes_of_the_host_are_told_with_their_service(tree: Tree) -> None:
    gpu = "0000:01:00.0"
    tree.write(f"proc/driver/nvidia/gpus/{gpu}/information", "Device Minor: \t 0\n")
    tree.write("proc/7/comm", "ollama\n")
    tree.write("proc/7/cgroup", "0::/system.slice/ollama.service\n")
    (tree.root / "proc/7/fd").mkdir()
    (tree.root / "proc/7/fd/3").symlink_to("/dev/nvidia0")
    [holder] = reading.devices(tree.root).holders[gpu]
    assert (holder.pid, holder.command, holder.unit) == (7, "ollama", "ollama.service")


def test_a_libvirt_that_answers_tells_its_version(lab: Lab) -> None:
    told, seen = reading.libvirt("test:///default")
    assert told.version.count(".") == 2
    assert seen is not None


@pytest.mark.hypervisor
def test_a_real_libvirt_is_well(clusters: Clusters, host: Machines, hypervisor: Hypervisor) -> None:
    asked = host.model_copy(update={"uri": hypervisor.uri})
    with Connection(hypervisor.uri):
        found = levels(clusters, asked)
    assert reading.is_this_host(hypervisor.uri)
    assert (found["libvirt"], found["network"]) == ("pass", "pass")
