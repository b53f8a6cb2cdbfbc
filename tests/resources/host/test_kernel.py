"""What a kernel can, from made-up files and from this machine's."""

from pathlib import Path

import pytest

from resources.host.kernel import can_load, kernel, program
from tests.resources.host.tree import Tree


def processor(tree: Tree, vendor: str, flags: str) -> None:
    one = f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: fpu {flags}\n"
    tree.write("proc/cpuinfo", f"{one}\n{one}")


@pytest.mark.parametrize(
    ("vendor", "flags", "expected"),
    [
        ("GenuineIntel", "vmx", ("intel", True, False)),
        ("AuthenticAMD", "svm hypervisor", ("amd", True, True)),
        ("Other", "sse", ("other", False, False)),
    ],
)
def test_the_processor_is_told(
    tree: Tree, vendor: str, flags: str, expected: tuple[str, bool, bool]
) -> None:
    processor(tree, vendor, flags)
    found = kernel(tree.root)
    assert (found.vendor, found.has_virtualisation, found.is_guest) == expected


def test_words_modules_and_groups_are_counted(tree: Tree) -> None:
    tree.write("proc/cmdline", "quiet intel_iommu=on iommu=pt\n")
    tree.write("sys/module/kvm_intel/parameters/nested", "N\n")
    tree.write("sys/module/kvm/version", "")
    tree.write("sys/module/vfio_pci/version", "")
    tree.function("0000:01:00.0", "0x030000", group=3)
    found = kernel(tree.root)
    assert found.words == ("quiet", "intel_iommu=on", "iommu=pt")
    assert (found.has_kvm_module, found.nested, found.iommu_groups) == (True, False, 1)
    assert found.has_vfio
    assert found.can_load_vfio


def test_a_machine_without_any_of_it_is_empty(tmp_path: Path) -> None:
    found = kernel(tmp_path)
    assert (found.vendor, found.words, found.iommu_groups) == ("other", (), 0)
    assert found.nested is None


def test_modprobe_decides_whether_a_module_can_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modprobe = tmp_path / "modprobe"
    modprobe.write_text('#!/bin/sh\n[ "$3" = vfio-pci ]\n')
    modprobe.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert (can_load("vfio-pci"), can_load("other")) == (True, False)


def test_programs_of_the_system_are_found_without_its_paths(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert program("no-such-program-anywhere") is None
    assert program("ldconfig") is not None


def test_this_machine_is_looked_at() -> None:
    assert kernel().words
