"""Desired networks, pools and machines as libvirt's XML; pure, the same words for the same values.

What a machine is told at its first boot is `first_boot`'s business, how what is there differs from
these documents is `differences`'.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import uuid5
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from cloud_assets.machines.desired import Cluster, Machine, Mount, Processor
from cloud_assets.machines.spec import NAMESPACE
from resources.libvirt import Identity, mark

#: What runs a domain; emulation without KVM is `qemu`.
Kind = Literal["kvm", "qemu"]
DISK, SEED = "vda", "vdb"
_KIBIBYTE, _MEBIBYTE = 2**10, 2**20
_AGENT = "org.qemu.guest_agent.0"


@dataclass(frozen=True)
class Placement:
    """What the host decides of a machine: its type, the pool's directory, the CPUs it is pinned to.

    `seed` is the digest of what it is told at its first boot.
    """

    kind: Kind
    directory: Path
    seed: str = ""
    cpus: Sequence[int] = ()


@dataclass(frozen=True)
class Document:
    """A document to be defined; `digest` is that of all of it but its metadata."""

    identity: Identity
    xml: str
    digest: str = ""


def seed_name(machine: str) -> str:
    """The volume that cloud-init reads."""
    return f"{machine}-seed.iso"


def console_name(machine: str) -> str:
    """The file in the pool's directory to which the first serial port is written."""
    return f"{machine}.console.log"


def network_identity(cluster: str) -> Identity:
    return Identity(f"{cluster}-network", str(uuid5(NAMESPACE, f"{cluster}/network")))


def pool_identity(cluster: str) -> Identity:
    return Identity(f"{cluster}-pool", str(uuid5(NAMESPACE, f"{cluster}/pool")))


def machine_identity(machine: Machine) -> Identity:
    return Identity(machine.name, machine.uuid)


def network(cluster: Cluster) -> Document:
    """A NAT network with an address for each machine that has a fixed one."""
    wanted, identity = cluster.network, network_identity(cluster.name)
    root = _begun("network", identity)
    SubElement(root, "forward", mode="nat")
    SubElement(root, "bridge", name=wanted.bridge, stp="on", delay="0")
    SubElement(root, "domain", name=cluster.name, localOnly="yes")
    ip = SubElement(
        root, "ip", address=str(wanted.gateway), netmask=str(wanted.subnet.netmask)
    )  # fmt: skip
    dhcp = SubElement(ip, "dhcp")
    SubElement(dhcp, "range", start=str(wanted.first), end=str(wanted.last))
    for each in wanted.reservations:
        SubElement(dhcp, "host", mac=each.mac, name=each.name, ip=str(each.ip))
    return _marked(root, identity, {"cluster": cluster.name})


def pool(cluster: Cluster) -> Document:
    """A directory; libvirt has no place for a mark in it, its UUID says whose it is."""
    identity = pool_identity(cluster.name)
    root = _begun("pool", identity)
    root.set("type", "dir")
    _text(SubElement(root, "target"), "path", str(cluster.pool.path))
    return Document(identity, _written(root), _digest(root))


def domain(machine: Machine, place: Placement) -> Document:
    """The machine as a domain that boots its overlay, with a seed, an agent and a console."""
    root = _begun("domain", machine_identity(machine))
    root.set("type", place.kind)
    _memory(root, machine)
    _text(root, "vcpu", str(machine.vcpus), placement="static")
    if place.cpus:
        tuned = SubElement(root, "cputune")
        for number, cpu in enumerate(place.cpus):
            SubElement(tuned, "vcpupin", vcpu=str(number), cpuset=str(cpu))
    system = SubElement(root, "os")
    _text(system, "type", "hvm", arch="x86_64", machine="q35")
    SubElement(system, "boot", dev="hd")
    features = SubElement(root, "features")
    SubElement(features, "acpi")
    SubElement(features, "apic")
    if machine.gpus:
        SubElement(SubElement(features, "kvm"), "hidden", state="on")
    _processor(root, machine, place.kind)
    SubElement(root, "clock", offset="utc")
    for event, reaction in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "destroy")):
        _text(root, f"on_{event}", reaction)
    _devices(SubElement(root, "devices"), machine, place)
    words = {"cluster": machine.cluster, "role": machine.role, "seed": place.seed}
    return _marked(root, machine_identity(machine), words)


def pinned_cpus(machines: Sequence[Machine], host_cpus: int) -> dict[str, tuple[int, ...]]:
    """The host's CPUs of each pinned machine: one after the other, from the first once all are."""
    found: dict[str, tuple[int, ...]] = {}
    following = 0
    for each in machines:
        if each.processor.pinned:
            given = range(following, following + each.vcpus)
            found[each.name] = tuple(number % host_cpus for number in given)
            following += each.vcpus
    return found


def _memory(root: Element, machine: Machine) -> None:
    _text(root, "memory", str(machine.memory.size_bytes // _KIBIBYTE), unit="KiB")
    hugepages, shared = machine.memory.hugepage_bytes, machine.memory.shared
    if not hugepages and not shared:
        return
    backing = SubElement(root, "memoryBacking")
    if hugepages:
        size = str(hugepages // _KIBIBYTE)
        SubElement(SubElement(backing, "hugepages"), "page", size=size, unit="KiB")
    # Of the kernel's own making: a hugetlbfs, which huge pages would need otherwise, is mounted on
    # few hosts, and that of 1 GiB pages on none.
    SubElement(backing, "source", type="memfd")
    if shared:
        SubElement(backing, "access", mode="shared")


def _processor(root: Element, machine: Machine, kind: Kind) -> None:
    processor = machine.processor
    if processor.model == "qemu64":
        cpu = SubElement(root, "cpu", mode="custom", match="exact", check="none")
        _text(cpu, "model", "qemu64", fallback="allow")
    else:
        # The host's own processor is KVM's alone to give.
        model = processor.model if kind == "kvm" else "maximum"
        cpu = SubElement(root, "cpu", mode=model)
    if processor.topology:
        shape = processor.topology
        SubElement(
            cpu, "topology",
            sockets=str(shape.sockets), cores=str(shape.cores), threads=str(shape.threads),
        )  # fmt: skip
    for name, added in _features(processor, kind):
        SubElement(cpu, "feature", policy="require" if added else "disable", name=name)
    if processor.numa_nodes:
        _numa(cpu, processor.numa_nodes, machine)


def _features(processor: Processor, kind: Kind) -> list[tuple[str, bool]]:
    """Those of the settings, and without nesting none that a hypervisor would need."""
    named = dict(processor.features)
    if kind == "kvm" and not processor.nested and processor.model != "qemu64":
        named = {"vmx": False, "svm": False, **named}
    return list(named.items())


def _numa(cpu: Element, nodes: int, machine: Machine) -> None:
    cells = SubElement(cpu, "numa")
    shared = {"memAccess": "shared"} if machine.memory.shared else {}
    for node in range(nodes):
        first, end = _part(machine.vcpus, nodes, node)
        cpus = str(first) if first == end - 1 else f"{first}-{end - 1}"
        # QEMU has whole MiB in each, and libvirt takes their sum for the memory of all.
        low, high = _part(machine.memory.size_bytes // _MEBIBYTE, nodes, node)
        memory = str((high - low) * _MEBIBYTE // _KIBIBYTE)
        words = {"id": str(node), "cpus": cpus, "memory": memory, "unit": "KiB", **shared}
        SubElement(cells, "cell", words)


def _part(whole: int, nodes: int, node: int) -> tuple[int, int]:
    """Where the share of a node begins and ends."""
    return whole * node // nodes, whole * (node + 1) // nodes


def _devices(devices: Element, machine: Machine, place: Placement) -> None:
    disk = _disk(devices, DISK, "qcow2", place.directory / machine.volume.name)
    # Room that the guest frees is the host's again.
    disk[0].set("discard", "unmap")
    SubElement(_disk(devices, SEED, "raw", place.directory / seed_name(machine.name)), "readonly")
    for mount in machine.mounts:
        _mount(devices, mount)
    card = SubElement(devices, "interface", type="network")
    SubElement(card, "mac", address=machine.mac)
    SubElement(card, "source", network=machine.network)
    SubElement(card, "model", type="virtio")
    serial = SubElement(devices, "serial", type="pty")
    SubElement(
        serial, "log", file=str(place.directory / console_name(machine.name)), append="off"
    )  # fmt: skip
    SubElement(serial, "target", port="0")
    channel = SubElement(devices, "channel", type="unix")
    SubElement(channel, "target", type="virtio", name=_AGENT)
    if machine.gpus:
        SubElement(SubElement(devices, "video"), "model", type="none")
    for address in machine.hostdevs:
        _host_device(devices, address, is_gpu=address in machine.gpus)
    SubElement(devices, "memballoon", model="virtio")
    _text(SubElement(devices, "rng", model="virtio"), "backend", "/dev/urandom", model="random")


def _disk(devices: Element, target: str, kind: str, path: Path) -> Element:
    """By its path: libvirt takes no external snapshot of a disk that names a volume."""
    disk = SubElement(devices, "disk", type="file", device="disk")
    SubElement(disk, "driver", name="qemu", type=kind)
    SubElement(disk, "source", file=str(path))
    SubElement(disk, "target", dev=target, bus="virtio")
    return disk


def _mount(devices: Element, mount: Mount) -> None:
    directory = SubElement(devices, "filesystem", type="mount", accessmode="passthrough")
    SubElement(directory, "driver", type="virtiofs")
    SubElement(directory, "source", dir=str(mount.host_path))
    SubElement(directory, "target", dir=mount.tag)


def _host_device(devices: Element, address: str, *, is_gpu: bool) -> None:
    domain, bus, rest = address.split(":")
    slot, _, function = rest.partition(".")
    parts = {"domain": domain, "bus": bus, "slot": slot, "function": function}
    found = SubElement(devices, "hostdev", mode="subsystem", type="pci", managed="yes")
    SubElement(
        SubElement(found, "source"), "address", {key: f"0x{part}" for key, part in parts.items()}
    )
    if is_gpu:
        SubElement(found, "rom", bar="on")


def _begun(tag: str, identity: Identity) -> Element:
    root = Element(tag)
    _text(root, "name", identity.name)
    _text(root, "uuid", identity.uuid)
    return root


def _marked(root: Element, identity: Identity, words: dict[str, str]) -> Document:
    digest = _digest(root)
    metadata = Element("metadata")
    metadata.append(ElementTree.fromstring(mark({**words, "digest": digest})))
    root.insert(2, metadata)
    return Document(identity, _written(root), digest)


def _digest(root: Element) -> str:
    """Short, since people read it; it tells versions of one document apart, no more."""
    return hashlib.sha256(ElementTree.tostring(root)).hexdigest()[:16]


def _written(root: Element) -> str:
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode") + "\n"


def _text(parent: Element, tag: str, text: str, **attributes: str) -> Element:
    element = SubElement(parent, tag, attributes)
    element.text = text
    return element
