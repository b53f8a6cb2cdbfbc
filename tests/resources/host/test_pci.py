"""PCI functions as sysfs has them, made up and this machine's own."""

from pathlib import Path

from resources.host import pci
from tests.resources.host.tree import Tree


def test_a_function_has_class_identity_driver_and_group(tree: Tree) -> None:
    tree.function("0000:01:00.0", "0x030000", driver="nvidia", group=14, has_screen=True)
    tree.function("0000:01:00.1", "0x040300", "10de:22bd", group=14)
    found = pci.functions(tree.root)
    pair = ("0000:01:00.0", "0000:01:00.1")
    assert tuple(found) == pair
    assert found[pair[0]] == pci.Function(
        pair[0], "0x030000", "10de", "2805", "nvidia", 14, pair, has_screen=True
    )
    assert (found[pair[1]].driver, found[pair[1]].is_display) == ("", False)


def test_without_an_iommu_there_is_no_group(tree: Tree) -> None:
    tree.function("0000:00:01.0", "0x060400")
    found = pci.functions(tree.root)["0000:00:01.0"]
    assert (found.group, found.members, found.is_bridge) == (None, (), True)


def test_a_machine_without_sysfs_has_none(tmp_path: Path) -> None:
    assert pci.functions(tmp_path) == {}


def test_those_of_this_machine_have_a_class() -> None:
    assert [each for each in pci.functions().values() if not each.pci_class] == []
