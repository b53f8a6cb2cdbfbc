"""The devices of a machine with a real IOMMU, as its own kernel tells them."""

from collections.abc import Iterator

import pytest

from cloud_assets.machines.preflight import devices
from cloud_assets.machines.preflight.facts import Devices
from cloud_assets.settings.machines import Clusters
from resources.host import kernel, pci
from resources.libvirt import Connection, pci_devices
from tests.hypervisor.bound import require_bindings
from tests.hypervisor.vfio.rig import ABSENT, AUDIO, GPU, OTHER_GPU, Rig
from tests.machines.conftest import SMALL, hpc
from tests.resources.host.tree import Tree

pytestmark = [pytest.mark.hypervisor, pytest.mark.vfio]

#: Each function on a line: address, class, identity, driver and group, `-` for none.
_LISTED = """
for each in /sys/bus/pci/devices/*; do
  cd $each; name() { if [ -e $1 ]; then basename $(readlink -f $1); else echo -; fi; };
  echo $(basename $each) $(cat class vendor device) $(name driver) $(name iommu_group);
done
""".strip().replace("\n", " ")


@pytest.fixture
def seen(vfio: Rig, tree: Tree) -> Devices:
    """Its sysfs, carried over to a directory, and read there."""
    for line in vfio.run(_LISTED).splitlines():
        address, pci_class, vendor, device, driver, group = line.split()
        identity = f"{vendor.removeprefix('0x')}:{device.removeprefix('0x')}"
        tree.function(
            address, pci_class, identity, driver=driver.strip("-"),
            group=int(group) if group != "-" else None,
        )  # fmt: skip
    tree.write("proc/cmdline", vfio.run("cat /proc/cmdline"))
    tree.write("proc/cpuinfo", vfio.run("cat /proc/cpuinfo"))
    if vfio.run("test -d /sys/module/vfio_pci && echo yes || echo no") == "yes\n":
        tree.write("sys/module/vfio_pci/version", "")
    return Devices(kernel.kernel(tree.root), pci.functions(tree.root))


@pytest.fixture
def passthrough(vfio: Rig) -> Iterator[Connection]:
    require_bindings()
    with Connection(vfio.uri) as connection:
        yield connection


def judged(host: Devices, *addresses: str) -> list[tuple[str, str]]:
    """Of each device of a machine that is given these: its level and what was found."""
    given = [{"pci_address": each, "device_type": "other"} for each in addresses]
    passed = {"enabled": True, "devices": given}
    node = {**SMALL, "ip": "DHCP", "pcie_passthrough": passed}
    asked = Clusters.model_validate({"hpc": hpc(compute_nodes=[node])})
    return [(each.level, each.found) for each in devices.rows(devices.wanted(asked), host)]


def test_what_sysfs_says_is_what_libvirt_says(seen: Devices, passthrough: Connection) -> None:
    told = {each.address: each for each in pci_devices(passthrough)}
    assert seen.functions.keys() == told.keys()
    assert {a: each.driver for a, each in seen.functions.items()} == {
        a: each.driver for a, each in told.items()
    }
    assert {a: (each.group, each.members) for a, each in seen.functions.items()} == {
        a: (each.iommu_group, tuple(sorted(each.iommu_members))) for a, each in told.items()
    }


def test_its_kernel_can_pass_devices_on(seen: Devices) -> None:
    asked = Clusters.model_validate({"hpc": hpc()})
    found = list(devices.passthrough(devices.wanted(asked), seen))
    assert [(each.what, each.level) for each in found] == [("iommu", "pass"), ("vfio-pci", "pass")]
    assert "intel_iommu=on" in seen.kernel.words


def test_a_whole_group_is_well_and_a_part_of_it_is_not(seen: Devices) -> None:
    assert [level for level, _ in judged(seen, GPU, AUDIO)] == ["pass", "pass"]
    assert [level for level, _ in judged(seen, OTHER_GPU)] == ["pass"]
    [(level, found)] = judged(seen, GPU)
    assert level == "fail"
    assert AUDIO in found


def test_a_device_that_it_has_not_is_told(seen: Devices) -> None:
    assert judged(seen, ABSENT) == [("fail", "not on this host")]
