"""Snapshots of several machines at once, on libvirt's test driver: all of them, or none."""

from dataclasses import replace
from pathlib import Path

import pytest

from cloud_assets.machines.applying import lifecycle
from cloud_assets.machines.desired import Mount
from cloud_assets.machines.guests import snapshots
from resources.errors import NeedsRepair
from resources.libvirt import AlreadyThere, NotFound, domains
from tests.machines.conftest import Lab, hpc, wanted

LEADER, PLAIN, WITH_GPU = "hpc-controller", "hpc-compute-01", "hpc-compute-02"
BOTH = (LEADER, PLAIN)


@pytest.fixture
def made(lab: Lab) -> Lab:
    lab.apply(wanted(hpc=hpc()))
    return lab


def nobody(_: str) -> None:
    """Is told nothing."""


def kept(lab: Lab, *machines: str) -> list[tuple[str, str]]:
    return [(each.machine, each.name) for each in snapshots.listed(lab.connection, machines)]


def create(lab: Lab, *machines: str) -> None:
    snapshots.create(lab.connection, machines, "before", description="why", told=nobody)


def test_machines_are_kept_together_and_brought_back(made: Lab) -> None:
    told: list[str] = []
    create(made, *BOTH)
    assert kept(made, *BOTH) == [(LEADER, "before"), (PLAIN, "before")]
    domains.destroy(made.connection, lifecycle.found(made.connection, PLAIN).identity)
    snapshots.revert(made.connection, BOTH, "before", told=told.append)
    assert told == list(BOTH)
    assert made.active() == {LEADER, PLAIN, WITH_GPU}


def test_what_runs_with_a_gpu_is_not_kept_and_neither_are_the_others(made: Lab) -> None:
    with pytest.raises(NeedsRepair, match=r"it runs with 0000:01:00\.0, 0000:01:00\.1") as caught:
        create(made, LEADER, WITH_GPU)
    assert f"`ai-how vm stop {WITH_GPU}`" in str(caught.value.hint)
    assert kept(made, LEADER, WITH_GPU) == []


def test_what_is_off_is_kept_with_its_gpu(made: Lab) -> None:
    domains.destroy(made.connection, lifecycle.found(made.connection, WITH_GPU).identity)
    create(made, WITH_GPU)
    assert kept(made, WITH_GPU) == [(WITH_GPU, "before")]


def test_what_runs_with_a_directory_of_the_host_is_not_kept(lab: Lab) -> None:
    [cluster] = wanted(hpc=hpc()).clusters
    mount = Mount("data", Path("/srv/data"), "/data", "admin", "admin", "0755", "rw")
    leader = replace(cluster.machines[0], mounts=(mount,))
    lab.apply(replace(wanted(hpc=hpc()), clusters=(replace(cluster, machines=(leader,)),)))
    with pytest.raises(NeedsRepair, match="it runs with /srv/data"):
        create(lab, LEADER)


def test_a_name_that_one_has_already_makes_none(made: Lab) -> None:
    create(made, PLAIN)
    with pytest.raises(AlreadyThere):
        create(made, *BOTH)
    assert kept(made, LEADER) == []


def test_going_back_needs_it_of_all(made: Lab) -> None:
    create(made, PLAIN)
    with pytest.raises(NotFound, match=f"no such snapshot of {LEADER}"):
        snapshots.revert(made.connection, BOTH, "before", told=nobody)


def test_deleting_tells_who_had_one(made: Lab) -> None:
    create(made, PLAIN)
    assert snapshots.delete(made.connection, BOTH, "before", told=nobody) == (PLAIN,)
    assert snapshots.delete(made.connection, BOTH, "before", told=nobody) == ()


def test_a_plan_is_none_the_wiser_and_a_new_disk_has_none(made: Lab) -> None:
    create(made, *BOTH)
    desired = wanted(hpc=hpc())
    assert made.pending(desired) == []
    other = wanted(hpc=hpc(base_image_path="/images/other.qcow2"))
    assert made.change(other, PLAIN, allow_data_loss=True).action == "replace"
    made.apply(other, allow_data_loss=True)
    assert kept(made, *BOTH) == []
