"""The PCI devices that a file passes through, as the host has them. Pure.

They are looked at for `validate` and for `doctor`; who has a GPU now, and who is to have it, is
`gpus`' business.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from cloud_assets.machines.preflight.facts import Devices, Holder
from cloud_assets.machines.preflight.finding import Finding, Level, ill, well
from cloud_assets.settings.machines import Clusters, PciDevice
from cloud_assets.settings.machines.roster import roster
from cloud_assets.settings.machines.sharing import passed
from resources.host.kernel import Kernel, Vendor
from resources.host.pci import Function

_CLASSES = {
    "0x01": "storage", "0x02": "network", "0x03": "display", "0x04": "multimedia",
    "0x06": "bridge", "0x0c": "serial bus", "0x12": "accelerator",
}  # fmt: skip
#: Of what a file calls a device. Accelerators are GPUs to those who buy them.
_CALLED = {
    "gpu": ("0x03", "0x12"), "audio": ("0x04",), "network": ("0x02",), "storage": ("0x01",),
}  # fmt: skip
#: Of a group that goes to a guest the rest may have these, or none.
_HARMLESS = frozenset({"", "vfio-pci", "pci-stub"})
_GRAPHICS = frozenset({"nvidia", "nouveau", "amdgpu", "radeon", "i915", "xe"})
_WORDS: dict[Vendor, tuple[str, str]] = {
    "intel": ("intel_iommu=on iommu=pt", "VT-d"),
    "amd": ("amd_iommu=on iommu=pt", "AMD-Vi (IOMMU)"),
    "other": ("intel_iommu=on iommu=pt", "the IOMMU"),
}
_LIST_GPUS = "`lspci -Dnn | grep -Ei 'vga|3d|display'` lists the GPUs; correct pci_address"


@dataclass(frozen=True)
class Wanted:
    """One device of the file with the machines that want it, and all that each of these has."""

    device: PciDevice
    machines: tuple[str, ...]
    together: tuple[frozenset[str], ...]

    @property
    def address(self) -> str:
        return self.device.pci_address


@dataclass(frozen=True)
class DeviceFinding:
    """A row: one device and one thing about it."""

    device: str
    type: str
    level: Level
    found: str
    fix: str
    pci_class: str
    identity: str
    driver: str
    group: int | None
    machines: tuple[str, ...]

    def as_finding(self) -> Finding:
        return Finding(f"device {self.device}", self.level, self.found, self.fix)


def wanted(clusters: Clusters) -> tuple[Wanted, ...]:
    """The devices that are passed through, in the order of the file, each once."""
    every = passed(tuple(roster(clusters)))
    own: dict[str, set[str]] = {}
    for each in every:
        own.setdefault(each.machine.name, set()).add(each.address)
    found = {}
    for address, device in {each.address: each.device for each in reversed(every)}.items():
        names = dict.fromkeys(each.machine.name for each in every if each.address == address)
        together = tuple(frozenset(own[name]) for name in names)
        found[address] = Wanted(device, tuple(names), together)
    return tuple(found[each] for each in dict.fromkeys(each.address for each in every))


def of(devices: Iterable[Wanted], machines: Collection[str]) -> tuple[Wanted, ...]:
    """Those of these machines, as if the file had no others."""
    found = []
    for each in devices:
        pairs = zip(each.machines, each.together, strict=True)
        kept = [(name, own) for name, own in pairs if name in machines]
        if kept:
            names, together = zip(*kept, strict=True)
            found.append(replace(each, machines=names, together=together))
    return tuple(found)


def is_here(devices: Sequence[Wanted], host: Devices) -> bool:
    """Whether the host has any of them: where it has none the file is for another one."""
    return any(each.address in host.functions for each in devices)


def passthrough(devices: Sequence[Wanted], host: Devices) -> Iterator[Finding]:
    """What the kernel must be able to, where devices are passed through."""
    if devices:
        yield _iommu(host.kernel)
        yield _vfio(host.kernel)


def rows(devices: Iterable[Wanted], host: Devices) -> Iterator[DeviceFinding]:
    """Everything that is wrong with each, else that it is well."""
    for each in devices:
        function = host.functions.get(each.address)
        found = list(_problems(each, function, host)) if function else [_absent(each)]
        for finding in found or [_fit(each, function)]:
            yield _row(each, function, finding)


def milder(findings: Iterable[DeviceFinding]) -> Iterator[DeviceFinding]:
    """Warnings in the place of failures: for the file of another host."""
    for each in findings:
        yield replace(each, level="warn") if each.level == "fail" else each


def _row(wants: Wanted, function: Function | None, finding: Finding) -> DeviceFinding:
    return DeviceFinding(
        device=wants.address,
        type=wants.device.device_type,
        level=finding.level,
        found=finding.found,
        fix=finding.fix,
        pci_class=function.pci_class if function else "",
        identity=f"{function.vendor_id}:{function.device_id}" if function else "",
        driver=function.driver if function else "",
        group=function.group if function else None,
        machines=wants.machines,
    )


def _iommu(kernel: Kernel) -> Finding:
    if kernel.iommu_groups:
        return well("iommu", f"{kernel.iommu_groups} groups")
    words, firmware = _WORDS[kernel.vendor]
    if words.split()[0] in kernel.words:
        fix = f"switch {firmware} on in the firmware; `dmesg | grep -iE 'dmar|iommu'` says more"
        return ill("iommu", f"off, though the kernel was started with {words.split()[0]}", fix)
    fix = (
        f"add `{words}` to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, `update-grub`, reboot; "
        f"{firmware} must be on in the firmware"
    )
    if kernel.is_guest:
        found = "off: this host is a virtual machine, and has none from what runs it"
        return ill(
            "iommu", found, f"give it one there, as QEMU's `-device intel-iommu`; then {fix}"
        )
    return ill("iommu", "off: there are no IOMMU groups", fix)


def _vfio(kernel: Kernel) -> Finding:
    if kernel.has_vfio:
        return well("vfio-pci", "loaded")
    if kernel.can_load_vfio:
        return well("vfio-pci", "there, libvirt loads it")
    fix = "`modprobe vfio-pci`; install a kernel that has it, or its linux-modules-extra"
    return ill("vfio-pci", "the kernel has no such module", fix)


def _fit(wants: Wanted, function: Function | None) -> Finding:
    driver = function.driver if function and function.driver else "none"
    group = function.group if function else None
    return well(wants.address, f"driver {driver}, IOMMU group {group}")


def _absent(wants: Wanted) -> Finding:
    return ill(wants.address, "not on this host", "`lspci -Dnn` lists what is; correct pci_address")


def _problems(wants: Wanted, function: Function, host: Devices) -> Iterator[Finding]:
    yield from _other_class(wants, function)
    yield from _other_identity(wants, function)
    yield from _group(wants, function, host)
    yield from _driver(wants, function, host.holders.get(wants.address, ()))


def _other_class(wants: Wanted, function: Function) -> Iterator[Finding]:
    kind = function.pci_class[:4]
    name = f"{_CLASSES.get(kind, 'other')} (class {function.pci_class})"
    called = _CALLED.get(wants.device.device_type)
    if function.is_bridge:
        fix = "remove it from pcie_passthrough; bridges stay with the host"
        yield ill(wants.address, f"a {name}", fix)
    elif called and kind not in called:
        is_gpu = wants.device.device_type == "gpu"
        fix = _LIST_GPUS if is_gpu else "correct pci_address, or device_type"
        found = f"a {name}, no {wants.device.device_type} as the file says"
        yield Finding(wants.address, "fail" if is_gpu else "warn", found, fix)


def _other_identity(wants: Wanted, function: Function) -> Iterator[Finding]:
    for key, is_so in (("vendor_id", function.vendor_id), ("device_id", function.device_id)):
        said = getattr(wants.device, key)
        if said is not None and said != is_so:
            fix = f'correct pci_address, or write {key}: "{is_so}"'
            yield ill(wants.address, f"its {key} is {is_so}, not {said} as in the file", fix)


def _group(wants: Wanted, function: Function, host: Devices) -> Iterator[Finding]:
    of = partial(ill, wants.address)
    if function.group is None:
        yield of("in no IOMMU group", "switch the IOMMU on")
        return
    said = wants.device.iommu_group
    if said not in (None, function.group):
        fix = f"write iommu_group: {function.group}, or leave it out"
        yield of(f"in IOMMU group {function.group}, not {said} as in the file", fix)
    for name, own in zip(wants.machines, wants.together, strict=True):
        left = [each for each in function.members if each not in own and _leaves(each, host)]
        lines = ", ".join(f'{{pci_address: "{each}", device_type: {_type(each, host)}}}'
                          for each in left)  # fmt: skip
        if left:
            held = [each for each in left if host.functions[each].driver not in _HARMLESS]
            why = f"{', '.join(left)} of IOMMU group {function.group} is not {name}'s"
            yield Finding(wants.address, "fail" if held else "warn", why, f"add {lines}")


def _leaves(address: str, host: Devices) -> bool:
    """Whether a member of a group goes where the group goes."""
    return address in host.functions and not host.functions[address].is_bridge


def _type(address: str, host: Devices) -> str:
    kind = host.functions[address].pci_class[:4]
    return next((name for name, kinds in _CALLED.items() if kind in kinds), "other")


def _driver(wants: Wanted, function: Function, holders: Sequence[Holder]) -> Iterator[Finding]:
    if function.driver == "vfio-pci":
        # Emulators of machines that the file gives it to are as they should be.
        yield from _emulators(wants, [each for each in holders if each.guest not in wants.machines])
        return
    if holders:
        told = _told(holders)
        fix = _ended(holders)
        found = f"{told} of the host has it open, and libvirt hangs where it takes it from there"
        yield ill(function.address, found, fix)
        return
    identity = f"{function.vendor_id}:{function.device_id}"
    fix = (
        f"`echo options vfio-pci ids={identity} > /etc/modprobe.d/vfio.conf`, `update-initramfs -u`"
        ", reboot"
    )
    if function.has_screen:
        found = "the host's console is drawn on it, and goes dark where a machine takes it"
        yield Finding(function.address, "warn", found, fix)
    elif function.driver in _GRAPHICS:
        found = f"the host's driver {function.driver} has it until a machine takes it"
        yield Finding(function.address, "warn", found, fix)


def _emulators(wants: Wanted, holders: Sequence[Holder]) -> Iterator[Finding]:
    if holders:
        found = (
            f"{_told(holders)} has it, which is no machine of the file, so none can start with it"
        )
        yield ill(wants.address, found, _ended(holders))


def _told(holders: Sequence[Holder]) -> str:
    return ", ".join(
        f"{each.command} ({each.pid}{f', guest {each.guest}' if each.guest else ''})"
        for each in holders
    )


def _ended(holders: Sequence[Holder]) -> str:
    units = dict.fromkeys(each.unit for each in holders if each.unit)
    others = [str(each.pid) for each in holders if not each.unit]
    commands = [f"`systemctl stop {' '.join(units)}`"] if units else []
    commands += [f"`kill {' '.join(others)}`"] if others else []
    return ", ".join(commands)
