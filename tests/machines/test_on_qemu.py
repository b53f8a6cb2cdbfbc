"""Our documents on QEMU's driver: taken, started without KVM, and found unchanged afterwards."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_assets.machines.applying import boot, lifecycle, teardown
from cloud_assets.machines.converge import Patience, converge
from cloud_assets.machines.desired import Cluster, Desired
from resources.libvirt import Connection, observe
from tests.hypervisor import debian_image
from tests.hypervisor.cell import Hypervisor
from tests.machines.conftest import RENDERING, SMALL, Lab, hpc, wanted
from tests.testbed.build import cache

pytestmark = pytest.mark.hypervisor


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An empty disk: a machine of it runs, and boots nothing."""
    found = tmp_path / "image.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", str(found), "1G"], check=True, timeout=60
    )
    return found


def cluster(image: Path, pools: Path) -> Desired:
    """Two machines without a GPU, small enough to run at once."""
    given = hpc(
        base_image_path=str(image),
        compute_nodes=[{**SMALL, "ip": "192.168.100.11", "auto_start": False}],
    )
    [found] = wanted(hpc=given).clusters
    placed = replace(found, pool=replace(found.pool, path=pools / "hpc"))
    return Desired((_small(placed),))


def _small(cluster: Cluster) -> Cluster:
    memory = 128 * 2**20
    return replace(
        cluster,
        machines=tuple(
            replace(each, memory=replace(each.memory, size_bytes=memory))
            for each in cluster.machines
        ),
    )


def test_what_was_made_is_found_as_it_was_asked_for(
    hypervisor: Hypervisor, image: Path, tmp_path: Path
) -> None:
    desired = cluster(image, hypervisor.home / "pools")
    with Connection(hypervisor.uri) as connection:
        lab = Lab(connection, rendering=replace(RENDERING, host_cpus=2))
        try:
            assert [each.error for each in lab.apply(desired) if each.error] == []
            assert [str(each) for each in lab.plan(desired).pending] == []
            assert lab.active() == {"hpc-controller"}
            assert [str(each) for each in lab.plan(desired).pending] == []
            lab.redefine(
                "hpc-compute-01", "<vcpu placement='static'>1<", "<vcpu placement='static'>2<"
            )
            assert lab.change(desired, "hpc-compute-01").why == "somebody changed it by hand"
            lab.apply(desired)
            assert lab.pending(desired) == []
        finally:
            teardown.destroy(connection, desired.clusters[0], logs=tmp_path / "logs")
        after = observe(connection)
        assert (after.domains, after.pool("hpc-pool")) == ((), None)
        assert after.network("hpc-network") is None
        assert (tmp_path / "logs" / "hpc-controller.log").exists()
        assert list((hypervisor.home / "pools" / "hpc").iterdir()) == []


def test_a_machine_boots_as_its_seed_says_and_answers(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    """By its lease and its agent; SSH is out of reach from outside of the hypervisor's network."""
    image = cache.have(debian_image.debian_image()) / debian_image.DISK
    [only] = cluster(image, hypervisor.home / "pools").clusters
    leader = replace(
        only.machines[0], memory=replace(only.machines[0].memory, size_bytes=768 * 2**20), vcpus=2
    )
    desired = Desired((replace(only, machines=(leader,)),))
    with Connection(hypervisor.uri) as connection:
        lab = Lab(connection)
        try:
            results = converge(
                connection, lab.plan(desired), patience=Patience(900),
                told=lambda step: lab.steps.append((step.name, step.phase)),
            )  # fmt: skip
            assert [str(each.error) for each in results if each.error] == []
            phases = [phase for name, phase in lab.steps if name == leader.name]
            assert phases == ["volume", "seed", "define", "start", "lease", "agent", "done"]
            ready = boot.readiness(connection, boot.Guest.of(leader))
            assert (ready.address, ready.agent) == (str(leader.ip), True)
            assert lifecycle.stop(connection, leader.name, patience=120)
            assert lab.pending(desired) == [(leader.name, "start")]
        finally:
            teardown.destroy(connection, desired.clusters[0], logs=tmp_path / "logs")
    assert "login:" in (tmp_path / "logs" / f"{leader.name}.log").read_text()
