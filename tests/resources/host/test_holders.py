"""Which processes have a GPU open, by a /proc and a /sys that are made of files and links."""

from pathlib import Path

import pytest

from resources.host.holders import Process, holders
from tests.resources.host.tree import Tree

FIRST, SECOND, AUDIO = "0000:01:00.0", "0000:41:00.0", "0000:01:00.1"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def nvidia(tree: Tree) -> Tree:
    for number, address in enumerate((FIRST, SECOND)):
        told = f"Model: \t\t NVIDIA\nDevice Minor: \t {number}\n"
        tree.write(f"proc/driver/nvidia/gpus/{address}/information", told)
    return tree


def process(tree: Tree, pid: int, *opened: str, line: str = "") -> None:
    tree.write(f"proc/{pid}/comm", f"program-{pid}\n")
    if line:
        tree.write(f"proc/{pid}/cmdline", line.replace(" ", "\0"))
    (tree.root / f"proc/{pid}/fd").mkdir()
    for number, path in enumerate(opened):
        (tree.root / f"proc/{pid}/fd/{number}").symlink_to(path)


def listed(tree: Tree, place: str, address: str) -> None:
    """What a class of the kernel has of a device, as `class/drm/card0`."""
    target = tree.root / "sys/devices/pci0000:00" / address
    target.mkdir(parents=True, exist_ok=True)
    link = tree.root / "sys" / place / "device"
    link.parent.mkdir(parents=True)
    link.symlink_to(target)


def pids(tree: Tree) -> dict[str, list[int]]:
    return {address: [each.pid for each in found] for address, found in holders(tree.root).items()}


def test_a_machine_without_the_driver_has_none(tree: Tree) -> None:
    process(tree, 7, "/dev/nvidia0", "/dev/dri/renderD128", "/dev/vfio/14", "/dev/kfd")
    assert holders(tree.root) == {}


def test_processes_are_told_by_gpu(nvidia: Tree) -> None:
    process(nvidia, 7, "/dev/null", "/dev/nvidia0", "/dev/nvidia0", "/dev/nvidiactl")
    process(nvidia, 12, "/dev/nvidia0", "/dev/nvidia1")
    process(nvidia, 13, "/dev/nvidiactl", "/dev/nvidia-uvm")
    first = Process(7, "program-7", ("/dev/nvidia0",))
    second = Process(12, "program-12", ("/dev/nvidia0", "/dev/nvidia1"))
    assert holders(nvidia.root) == {FIRST: (first, second), SECOND: (second,)}


def test_a_process_that_ended_meanwhile_is_left_out(nvidia: Tree) -> None:
    (nvidia.root / "proc/9").mkdir()
    process(nvidia, 10, "/dev/nvidia1")
    assert pids(nvidia) == {SECOND: [10]}


def test_who_draws_or_computes_by_the_kernels_graphics_has_that_card(tree: Tree) -> None:
    listed(tree, "class/drm/card0", FIRST)
    listed(tree, "class/drm/renderD128", FIRST)
    listed(tree, "class/drm/renderD129", SECOND)
    process(tree, 7, "/dev/dri/card0", "/dev/dri/renderD128")
    process(tree, 8, "/dev/dri/renderD129")
    assert pids(tree) == {FIRST: [7], SECOND: [8]}


def test_a_card_of_no_bus_is_nobodys(tree: Tree) -> None:
    listed(tree, "class/drm/card1", "vgem")
    process(tree, 7, "/dev/dri/card1")
    assert pids(tree) == {}


def test_who_has_a_group_has_all_of_it_and_says_for_which_guest(tree: Tree) -> None:
    for address in (FIRST, AUDIO):
        tree.function(address, "0x030000", driver="vfio-pci", group=14)
    line = "qemu-system-x86_64 -name guest=win11,debug-threads=on -m 4096"
    process(tree, 7, "/dev/vfio/vfio", "/dev/vfio/14", line=line)
    found = holders(tree.root)
    assert pids(tree) == {FIRST: [7], AUDIO: [7]}
    assert found[FIRST][0].guest == "win11"


def test_a_device_that_is_open_by_itself_is_that_alone(tree: Tree) -> None:
    listed(tree, "class/vfio-dev/vfio0", FIRST)
    process(tree, 7, "/dev/vfio/devices/vfio0", line="qemu-system-x86_64 -name plain")
    assert pids(tree) == {FIRST: [7]}
    assert holders(tree.root)[FIRST][0].guest == "plain"


def test_who_computes_on_amds_has_all_gpus_of_that_driver(tree: Tree) -> None:
    tree.function(FIRST, "0x030000", driver="amdgpu")
    tree.function(SECOND, "0x030000", driver="nvidia")
    process(tree, 7, "/dev/kfd")
    assert pids(tree) == {FIRST: [7]}


def test_this_machine_is_looked_at_without_a_failure() -> None:
    assert isinstance(holders(), dict)
