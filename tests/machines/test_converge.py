"""Making what a plan says: once, in any order, after failures and after being killed."""

import pytest

from cloud_assets.machines.converge import require_success
from resources.errors import PermanentError
from resources.libvirt import Connection, Identity, domains, observe
from tests.machines.conftest import Lab, cloud, hpc, refuse_start, wanted

BOTH = wanted(hpc=hpc(), cloud=cloud())
NAMES = {each.name for each in BOTH.machines}
LEFT_OFF = {"cloud-gpu-worker-01"}


def test_all_is_made_and_a_second_time_changes_nothing(lab: Lab) -> None:
    assert len(lab.apply(BOTH)) == 10
    assert (lab.names(), lab.active()) == (NAMES, NAMES - LEFT_OFF)
    assert lab.pending(BOTH) == []
    assert lab.apply(BOTH) == ()


@pytest.mark.parametrize("order", [("hpc", "cloud"), ("cloud", "hpc")])
def test_clusters_side_by_side_give_all_machines_in_either_order(
    order: tuple[str, str], lab: Lab
) -> None:
    clusters = {"hpc": wanted(hpc=hpc()), "cloud": wanted(cloud=cloud())}
    for name in order:
        lab.apply(clusters[name])
    assert lab.names() == NAMES
    assert lab.pending(BOTH, prune=True) == []


def test_the_phases_are_told_as_they_come(lab: Lab) -> None:
    lab.apply(wanted(hpc=hpc()))
    mine = [phase for name, phase in lab.steps if name == "hpc-controller"]
    assert mine == ["volume", "seed", "define", "start", "done"]
    assert lab.steps[:2] == [("hpc-network", "network"), ("hpc-pool", "pool")]


def test_a_machine_that_fails_is_taken_back_and_the_others_stay(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_start(monkeypatch, "hpc-compute-01")
    results = lab.apply(BOTH)
    failed = [each.change.name for each in results if each.error]
    assert failed == ["hpc-compute-01"]
    assert lab.names() == NAMES - {"hpc-compute-01"}
    assert not [each for each in lab.volumes("hpc-pool") if "compute-01" in each]
    with pytest.raises(PermanentError, match="no room"):
        require_success(results)
    monkeypatch.undo()
    lab.apply(BOTH)
    assert lab.pending(BOTH) == []


def test_what_was_there_before_is_not_taken_back(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.apply(BOTH)
    lab.connection.handle().lookupByName("hpc-controller").destroy()

    def failing(_: Connection, identity: Identity) -> bool:
        raise PermanentError("libvirt", f"start {identity.name}", "no room")

    monkeypatch.setattr(domains, "start", failing)
    assert [each.change.name for each in lab.apply(BOTH) if each.error] == ["hpc-controller"]
    assert lab.names() == NAMES
    assert "hpc-controller.qcow2" in lab.volumes("hpc-pool")


def test_other_peoples_domains_networks_and_volumes_are_as_before(lab: Lab) -> None:
    before = observe(lab.connection)
    lab.apply(BOTH)
    lab.apply(wanted(hpc=hpc()), prune=True)
    after = observe(lab.connection)
    assert after.domain("test") == before.domain("test")
    assert after.network("default") == before.network("default")
    assert after.pool("default-pool") == before.pool("default-pool")
