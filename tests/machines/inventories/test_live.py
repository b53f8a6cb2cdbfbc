"""Who of a cluster is in its inventory now, on libvirt's test driver."""

from pathlib import Path

import pytest

from cloud_assets.machines.guests.login import Login
from cloud_assets.machines.inventories import live
from resources.errors import NeedsRepair
from resources.libvirt import Identity, domains
from tests.machines.conftest import Lab, cloud, hpc, wanted

USER = Login("admin", Path("/keys/id"), Path("/known_hosts"))


def test_machines_that_run_have_the_addresses_that_are_kept_for_them(lab: Lab) -> None:
    desired = wanted(cloud=cloud())
    lab.apply(desired)
    found = live.look(lab.connection, desired.clusters[0], USER)
    assert [(each.machine.hostname, each.address) for each in found.reached] == [
        ("control-plane", "192.168.200.10"), ("cpu-worker-01", "192.168.200.11")
    ]  # fmt: skip
    assert found.left_out == ("cloud-gpu-worker-01",)
    alias = found.reached[0].machine.uuid
    assert f"HostKeyAlias={alias}" in found.reached[0].variables["ansible_ssh_common_args"]


def test_what_lacks_is_told_at_once(lab: Lab) -> None:
    """The test driver gives no lease to the machine that has no address of its own."""
    desired = wanted(hpc=hpc())
    lab.apply(desired)
    leader = desired.clusters[0].machines[0]
    domains.destroy(lab.connection, Identity(leader.name, leader.uuid))
    with pytest.raises(NeedsRepair) as caught:
        live.look(lab.connection, desired.clusters[0], USER)
    assert "hpc-controller does not run, hpc-compute-02 has no address yet" in str(caught.value)
    assert "`ai-how hpc start`" in str(caught.value.hint)
