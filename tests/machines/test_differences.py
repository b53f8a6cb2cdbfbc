"""Where documents differ: told by path, and what libvirt adds by itself is not told."""

import pytest

from cloud_assets.machines.differences import FieldDifference, differences

DISK = "<disk type='file'><source file='/a'/><target dev='vda'/></disk>"


def domain(devices: str = DISK, rest: str = "") -> str:
    return (
        f"<domain type='kvm'><name>n</name><uuid>u</uuid><memory unit='KiB'>1024</memory>{rest}"
        f"<devices>{devices}</devices></domain>"
    )


def told(found: str, wanted: str | None = None, *, without: str = "") -> list[str]:
    return [str(each) for each in differences(wanted or domain(), found, "domain", without=without)]


def test_the_same_is_no_difference() -> None:
    assert told(domain()) == []


@pytest.mark.parametrize(
    "rest",
    [
        "<currentMemory unit='KiB'>1024</currentMemory>",
        "<metadata><other xmlns='urn:x'/></metadata>",
        "<resource><partition>/machine</partition></resource>",
    ],
)
def test_what_libvirt_and_others_add_is_none(rest: str) -> None:
    assert told(domain(rest=rest)) == []
    assert told(domain(devices=DISK + "<controller type='usb' index='0'/>")) == []
    assert told(domain(devices=DISK.replace("<target", "<alias name='x'/><target"))) == []


def test_a_changed_value_is_told_with_both() -> None:
    assert told(domain().replace("1024", "2048")) == ["memory: 2048 → 1024"]


def test_disks_are_told_apart_by_their_target_whatever_their_order() -> None:
    other = DISK.replace("vda", "vdb").replace("/a", "/b")
    assert told(domain(other + DISK), domain(DISK + other)) == []
    moved = domain(other.replace("/b", "/c") + DISK)
    assert told(moved, domain(DISK + other)) == ["devices/disk[vdb]/source/@file: /c → /b"]


@pytest.mark.parametrize(
    ("added", "path"),
    [
        (DISK.replace("vda", "vdc"), "devices/disk[vdc]"),
        ("<interface><mac address='AA:00:00:00:00:01'/></interface>",
         "devices/interface[aa:00:00:00:00:01]"),
        ("<filesystem><target dir='t'/></filesystem>", "devices/filesystem[t]"),
        ("<hostdev type='pci'><source><address domain='0' bus='1' slot='0' function='1'/></source>"
         "</hostdev>", "devices/hostdev[0000:01:00.1]"),
    ],
)  # fmt: skip
def test_a_device_that_somebody_added_is_told(added: str, path: str) -> None:
    assert differences(domain(), domain(DISK + added), "domain") == (
        FieldDifference(path, "there", None),
    )


def test_a_part_that_the_file_had_before_is_told() -> None:
    before = domain(rest="<memoryBacking><source type='memfd'/></memoryBacking>")
    assert told(before) == ["memoryBacking/source: there → nothing"]


def test_the_version_of_a_machine_type_is_none() -> None:
    ours = domain(rest="<os><type machine='q35'>hvm</type></os>")
    assert told(ours.replace("q35", "pc-q35-7.2"), ours) == []
    assert told(ours.replace("q35", "pc-i440fx-7.2"), ours) == [
        "os/type/@machine: pc-i440fx-7.2 → q35"
    ]


def test_a_part_can_be_left_out() -> None:
    ours = domain(rest="<cpu mode='host-model'/><cputune><vcpupin vcpu='0' cpuset='1'/></cputune>")
    theirs = ours.replace("host-model", "custom").replace("cpuset='1'", "cpuset='2'")
    assert told(theirs, ours, without="cpu") == ["cputune/vcpupin[0]/@cpuset: 2 → 1"]
