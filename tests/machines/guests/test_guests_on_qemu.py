"""Machines as we make them, on QEMU's driver: their snapshots, and as whom ssh knows them."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cloud_assets.machines.applying import lifecycle, teardown
from cloud_assets.machines.desired import Desired
from cloud_assets.machines.guests import login, reach, snapshots
from resources.libvirt import Connection, observation, observe
from tests.hypervisor.cell import Hypervisor
from tests.machines.conftest import RENDERING, SMALL, Lab, hpc, wanted

pytestmark = pytest.mark.hypervisor

LEADER, WORKER = "hpc-controller", "hpc-compute-01"
BOTH = (LEADER, WORKER)
MEMORY = 128 * 2**20


@dataclass
class Made:
    """A leader that runs with an empty disk, and a worker that is off."""

    lab: Lab
    desired: Desired

    def kept(self) -> list[tuple[str, str, str]]:
        found = snapshots.listed(self.lab.connection, BOTH)
        return [(each.machine, each.name, each.state) for each in found]

    def states(self) -> dict[str, str]:
        return {each.name: str(each.state) for each in observe(self.lab.connection).domains}


@pytest.fixture
def made(hypervisor: Hypervisor, tmp_path: Path) -> Iterator[Made]:
    image = tmp_path / "image.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", str(image), "1G"], check=True, timeout=60
    )
    desired = small(image, hypervisor.home / "pools" / "hpc")
    with Connection(hypervisor.uri) as connection:
        lab = Lab(connection, rendering=replace(RENDERING, host_cpus=2))
        try:
            assert [each.error for each in lab.apply(desired) if each.error] == []
            yield Made(lab, desired)
        finally:
            teardown.destroy(connection, desired.clusters[0], logs=tmp_path / "logs")
        assert observe(connection).domains == ()
        assert list((hypervisor.home / "pools" / "hpc").iterdir()) == []


def small(image: Path, pool: Path) -> Desired:
    worker = {**SMALL, "ip": "192.168.100.11", "auto_start": False}
    [found] = wanted(hpc=hpc(base_image_path=str(image), compute_nodes=[worker])).clusters
    machines = tuple(
        replace(each, memory=replace(each.memory, size_bytes=MEMORY)) for each in found.machines
    )
    return Desired((replace(found, pool=replace(found.pool, path=pool), machines=machines),))


def nobody(_: str) -> None:
    """Is told nothing."""


def create(made: Made) -> None:
    snapshots.create(made.lab.connection, BOTH, "here", description="", told=nobody)


def test_on_and_off_are_kept_and_come_back(made: Made) -> None:
    create(made)
    assert made.kept() == [(LEADER, "here", "running"), (WORKER, "here", "shutoff")]
    assert made.lab.pending(made.desired) == []
    lifecycle.stop(made.lab.connection, LEADER, patience=1, force=True)
    lifecycle.start(made.lab.connection, WORKER, patience=None)
    snapshots.revert(made.lab.connection, BOTH, "here", told=nobody)
    assert made.states() == {LEADER: "running", WORKER: "off"}
    assert made.lab.pending(made.desired) == []
    assert snapshots.delete(made.lab.connection, BOTH, "here", told=nobody) == BOTH
    assert made.kept() == []


def test_a_disk_with_snapshots_grows_as_the_file_says(made: Made) -> None:
    create(made)
    [cluster] = made.desired.clusters
    leader, worker = cluster.machines
    larger = replace(worker, volume=replace(worker.volume, capacity_bytes=11 * 2**30))
    grown = Desired((replace(cluster, machines=(leader, larger)),))
    assert made.lab.pending(grown) == [(WORKER, "update")]
    assert [each.error for each in made.lab.apply(grown) if each.error] == []
    assert made.lab.pending(grown) == []
    assert len(made.kept()) == 2


def test_settings_go_back_with_the_machine_and_a_plan_sees_it(made: Made) -> None:
    create(made)
    [cluster] = made.desired.clusters
    more = tuple(replace(each, vcpus=2) for each in cluster.machines)
    changed = Desired((replace(cluster, machines=more),))
    made.lab.apply(changed)
    for each in BOTH:
        lifecycle.stop(made.lab.connection, each, patience=1, force=True)
    lifecycle.start(made.lab.connection, LEADER, patience=None)
    assert made.lab.pending(changed) == []
    snapshots.revert(made.lab.connection, BOTH, "here", told=nobody)
    assert made.states() == {LEADER: "running", WORKER: "off"}
    assert made.lab.pending(made.desired) == []
    assert {name for name, _ in made.lab.pending(changed)} == set(BOTH)


def test_a_new_disk_has_none(made: Made, tmp_path: Path) -> None:
    create(made)
    other = tmp_path / "other.qcow2"
    subprocess.run(["cp", str(tmp_path / "image.qcow2"), str(other)], check=True, timeout=60)
    [cluster] = made.desired.clusters
    leader, worker = cluster.machines
    new = replace(worker, image=other, volume=replace(worker.volume, backing=other))
    desired = Desired((replace(cluster, machines=(leader, new)),))
    results = made.lab.apply(desired, allow_data_loss=True)
    assert [each.error for each in results if each.error] == []
    assert made.kept() == [(LEADER, "here", "running")]


def test_a_machine_is_known_by_its_disk_and_not_by_its_name(made: Made, tmp_path: Path) -> None:
    """Its address is kept for it, before it ever asked."""
    lab = made.lab

    def known() -> tuple[str, str]:
        found = observation.domain(lab.connection, WORKER)
        assert found is not None
        return login.alias(lab.connection, found), reach.address(lab.connection, found)

    before, address = known()
    uuid, _, moment = before.partition(".")
    assert (uuid, address) == (made.desired.clusters[0].machines[1].uuid, "192.168.100.11")
    assert float(moment) > 0
    lifecycle.start(lab.connection, WORKER, patience=None)
    assert known() == (before, address)
    teardown.destroy(lab.connection, made.desired.clusters[0], logs=tmp_path / "first")
    lab.apply(made.desired)
    assert known()[0] != before
