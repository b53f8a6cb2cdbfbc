"""Our documents on QEMU's driver: taken, started without KVM, and found unchanged afterwards."""

from pathlib import Path

import pytest

from cloud_assets.machines.applying import teardown
from resources.libvirt import observe
from tests.machines.conftest import SMALL
from tests.machines.qemu.emulated import LEADER, WORKER, Emulated, errors

pytestmark = pytest.mark.hypervisor

OFF = {**SMALL, "ip_address": "192.168.100.10", "auto_start": False}


def test_what_was_made_is_found_as_it_was_asked_for(qemu: Emulated, image: Path) -> None:
    desired = qemu.cluster(image)
    assert errors(qemu.apply(desired)) == []
    assert [str(each) for each in qemu.plan(desired).pending] == []
    assert qemu.active() == {LEADER}
    assert qemu.apply(desired) == ()


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("<vcpu placement='static'>1<", "<vcpu placement='static'>2<", "vcpu: 2 → 1"),
        ("<memory unit='KiB'>131072<", "<memory unit='KiB'>196608<", "memory: 196608 → 131072"),
        ("network='hpc-network'", "network='default'", "default → hpc-network"),
        ("<driver name='qemu' type='raw'/>", "<driver name='qemu' type='raw' cache='none'/>", ""),
        ("</devices>", "<watchdog model='i6300esb' action='reset'/></devices>", ""),
    ],
)
def test_what_somebody_changed_by_hand_is_told_and_undone_where_it_is_ours(
    old: str, new: str, place: str, qemu: Emulated, image: Path
) -> None:
    """What our documents do not speak of is a person's own, and stays."""
    desired = qemu.cluster(image, controller=OFF)
    qemu.apply(desired)
    qemu.redefine(WORKER, old, new)
    change = qemu.change(desired, WORKER)
    if not place:
        assert change.action == "nothing"
        return
    assert change.why == "somebody changed it by hand"
    assert place in str(change)
    assert errors(qemu.apply(desired)) == []
    assert qemu.pending(desired) == []


def test_taken_down_it_leaves_its_consoles_alone(
    qemu: Emulated, image: Path, tmp_path: Path
) -> None:
    desired = qemu.cluster(image)
    qemu.apply(desired)
    teardown.destroy(qemu.connection, desired.clusters[0], logs=tmp_path / "kept")
    after = observe(qemu.connection)
    assert (after.domains, after.pool("hpc-pool")) == ((), None)
    assert after.network("hpc-network") is None
    assert [each.name for each in (tmp_path / "kept").iterdir()] == [f"{LEADER}.log"]
    assert qemu.files() == set()
