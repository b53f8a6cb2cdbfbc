"""The devices of a file on hosts that have them, have others in their place, or have none."""

from dataclasses import replace
from typing import Any

import pytest

from cloud_assets.machines.preflight import devices
from cloud_assets.machines.preflight.facts import Devices, Holder
from resources.host.pci import Function
from tests.machines.conftest import SMALL, hpc
from tests.machines.preflight.hosts import (
    AUDIO,
    DEVICES,
    FACTS,
    GPU,
    KERNEL,
    clusters,
    function,
    trouble,
    troubles,
    with_devices,
    with_kernel,
)

PLAIN = DEVICES.functions[GPU]


def given(**changes: object) -> object:
    """The HPC cluster alone, whose GPU is described by `changes`."""
    gpu = {"pci_address": GPU, "device_type": "gpu", **changes}
    audio = {"pci_address": AUDIO, "device_type": "audio"}
    passed = {"enabled": True, "devices": [gpu, audio]}
    return hpc(compute_nodes=[{**SMALL, "ip": "DHCP", "pcie_passthrough": passed}])


def test_each_device_is_wanted_once_with_all_its_machines() -> None:
    found = devices.wanted(clusters())
    assert [(each.address, each.machines) for each in found] == [
        (GPU, ("hpc-compute-02", "cloud-gpu-worker-01")),
        (AUDIO, ("hpc-compute-02", "cloud-gpu-worker-01")),
    ]


def test_a_host_that_has_all_of_them_is_well() -> None:
    assert troubles(FACTS) == []


def test_of_a_device_that_is_not_there_the_address_is_told() -> None:
    facts = replace(FACTS, devices=replace(DEVICES, functions={GPU: PLAIN}))
    found = trouble(facts)
    assert (found.what, found.level, found.found) == (f"device {AUDIO}", "fail", "not on this host")
    assert "lspci -Dnn" in found.fix


@pytest.mark.parametrize(
    ("pci_class", "told"),
    [("0x010802", "a storage (class 0x010802), no gpu"), ("0x060400", "a bridge (class 0x060400)")],
)
def test_what_is_no_gpu_is_not_passed_as_one(pci_class: str, told: str) -> None:
    found = trouble(with_devices(gpu=replace(PLAIN, pci_class=pci_class)))
    assert found.level == "fail"
    assert told in found.found


def test_gpus_of_data_centres_are_gpus() -> None:
    assert troubles(with_devices(gpu=replace(PLAIN, pci_class="0x030200"))) == []


def test_another_kind_than_a_gpu_is_a_warning() -> None:
    found = trouble(with_devices(audio=function(AUDIO, "0x0c0330", "10de:1")))
    assert (found.level, found.fix) == ("warn", "correct pci_address, or device_type")


@pytest.mark.parametrize(
    ("key", "said", "is_so"), [("vendor_id", "1002", "10de"), ("device_id", "2504", "2805")]
)
def test_another_card_in_the_place_is_told(key: str, said: str, is_so: str) -> None:
    found = trouble(FACTS, clusters(hpc=given(**{key: said}), cloud=None))
    assert found.found == f"its {key} is {is_so}, not {said} as in the file"
    assert found.fix.endswith(f'write {key}: "{is_so}"')


def test_the_same_card_is_well() -> None:
    described = given(vendor_id="10DE", device_id="2805", iommu_group=14)
    assert troubles(FACTS, clusters(hpc=described, cloud=None)) == []


def test_another_group_than_that_of_the_file_is_told() -> None:
    found = trouble(FACTS, clusters(hpc=given(iommu_group=3), cloud=None))
    assert (found.level, found.fix) == ("fail", "write iommu_group: 14, or leave it out")


def test_what_a_group_lacks_is_told_as_the_file_writes_it() -> None:
    usb = Function("0000:01:00.2", "0x0c0330", "10de", "1", "xhci_hcd", 14, ())
    whole = (GPU, AUDIO, usb.address)
    changed = {each: replace(DEVICES.functions[each], members=whole) for each in (GPU, AUDIO)}
    facts = replace(FACTS, devices=replace(DEVICES, functions={**changed, usb.address: usb}))
    found = troubles(facts)
    assert {each.level for each in found} == {"fail"}
    assert found[0].fix == 'add {pci_address: "0000:01:00.2", device_type: other}'


def test_what_no_driver_of_the_host_has_may_stay_behind() -> None:
    usb = Function("0000:01:00.2", "0x0c0330", "10de", "1", "", 14, ())
    whole = (GPU, AUDIO, usb.address)
    changed = {each: replace(DEVICES.functions[each], members=whole) for each in (GPU, AUDIO)}
    facts = replace(FACTS, devices=replace(DEVICES, functions={**changed, usb.address: usb}))
    assert {each.level for each in troubles(facts)} == {"warn"}


def test_bridges_of_a_group_stay_with_the_host() -> None:
    bridge = Function("0000:00:01.0", "0x060400", "8086", "1", "pcieport", 14, ())
    whole = (bridge.address, GPU, AUDIO)
    changed = {each: replace(DEVICES.functions[each], members=whole) for each in (GPU, AUDIO)}
    facts = replace(FACTS, devices=replace(DEVICES, functions={**changed, bridge.address: bridge}))
    assert troubles(facts) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"driver": "nvidia"}, "the host's driver nvidia has it until a machine takes it"),
        ({"driver": "nvidia", "has_screen": True}, "the host's console is drawn on it"),
    ],
)
def test_a_driver_of_the_host_is_a_warning(change: dict[str, Any], words: str) -> None:
    found = trouble(with_devices(gpu=replace(PLAIN, **change)))
    assert found.level == "warn"
    assert words in found.found
    assert "options vfio-pci ids=10de:2805" in found.fix


def test_processes_that_have_the_gpu_are_told_with_what_ends_them() -> None:
    holders = (Holder(7, "python"), Holder(9, "ollama", "ollama.service"))
    driven = replace(PLAIN, driver="nvidia")
    found = trouble(
        replace(
            FACTS,
            devices=Devices(KERNEL, {**DEVICES.functions, GPU: driven}, {GPU: holders}),
        )
    )
    assert found.level == "fail"
    assert "python (7), ollama (9)" in found.found
    assert found.fix == "`systemctl stop ollama.service`, `kill 7`"


def test_an_emulator_of_no_machine_of_the_file_stands_in_the_way() -> None:
    other = replace(DEVICES, holders={GPU: (Holder(7, "qemu-system-x86", guest="win11"),)})
    found = trouble(replace(FACTS, devices=other))
    assert (found.level, found.fix) == ("fail", "`kill 7`")
    assert found.found.startswith("qemu-system-x86 (7, guest win11) has it")
    own = replace(DEVICES, holders={GPU: (Holder(7, "qemu-system-x86", guest="hpc-compute-02"),)})
    assert troubles(replace(FACTS, devices=own)) == []


@pytest.mark.parametrize(
    ("vendor", "words", "fix"),
    [
        ("intel", (), "add `intel_iommu=on iommu=pt` to GRUB_CMDLINE_LINUX_DEFAULT"),
        ("amd", ("quiet",), "add `amd_iommu=on iommu=pt` to GRUB_CMDLINE_LINUX_DEFAULT"),
        ("intel", ("intel_iommu=on",), "switch VT-d on in the firmware"),
    ],
)
def test_an_iommu_that_is_off_has_the_line_that_switches_it_on(
    vendor: str, words: tuple[str, ...], fix: str
) -> None:
    found = trouble(with_kernel(vendor=vendor, words=words, iommu_groups=0))
    assert (found.what, found.level) == ("iommu", "fail")
    assert found.fix.startswith(fix)


def test_below_a_hypervisor_that_has_to_give_an_iommu() -> None:
    found = trouble(with_kernel(is_guest=True, words=(), iommu_groups=0))
    assert found.fix.startswith("give it one there")


def test_a_kernel_without_vfio_is_told() -> None:
    found = trouble(with_kernel(can_load_vfio=False))
    assert (found.what, found.fix.split(";")[0]) == ("vfio-pci", "`modprobe vfio-pci`")


def test_the_file_of_another_host_has_no_failures() -> None:
    host = replace(DEVICES, functions={"0000:00:02.0": PLAIN})
    wanted = devices.wanted(clusters())
    assert not devices.is_here(wanted, host)
    assert {each.level for each in devices.milder(devices.rows(wanted, host))} == {"warn"}
