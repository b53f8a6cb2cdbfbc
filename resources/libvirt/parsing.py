"""libvirt's XML into records. Pure: asks nothing of a hypervisor.

Documents with a DTD are refused: libvirt writes none, and entities of one may grow without bound.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Network
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from resources.errors import PermanentError
from resources.libvirt.records import (
    Disk,
    HostDevice,
    Identity,
    Interface,
    Machine,
    MediatedType,
    Network,
    PciDevice,
    Pool,
    Reservation,
    Volume,
)

#: The namespace of our element below `metadata`; its attributes are the caller's.
MARK_NAMESPACE = "urn:ai-how:mark"
_MARK = f"{{{MARK_NAMESPACE}}}mark"
#: The channel through which a guest agent is spoken to.
AGENT = "org.qemu.guest_agent.0"
_UNITS = {"": 1, "b": 1, "bytes": 1}
_UNITS |= {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"k": 2**10, "kib": 2**10, "m": 2**20, "mib": 2**20, "g": 2**30, "gib": 2**30}
_UNITS |= {"t": 2**40, "tib": 2**40}
_DTD = re.compile(r"<!(DOCTYPE|ENTITY)")


def element(xml: str, tag: str) -> Element:
    """The root of a document. Raises PermanentError where it is none of `tag`."""
    problem = "it has a DTD" if _DTD.search(xml) else ""
    try:
        root = ElementTree.fromstring(xml) if not problem else None
    except ElementTree.ParseError as error:
        root, problem = None, str(error)
    if root is None or root.tag != tag:
        raise PermanentError(
            "libvirt", f"read a {tag} document", problem or "its root is another element",
            hint="correct the XML, `virt-xml-validate FILE` shows what is wrong",
        )  # fmt: skip
    return root


def identity(xml: str, tag: str) -> Identity:
    """The name and UUID of a document. Raises PermanentError where one is missing."""
    found = _identity(element(xml, tag))
    if not (found.name and found.uuid):
        raise PermanentError(
            "libvirt", f"define a {tag}", "its XML lacks a name or a uuid",
            hint="give it a UUID made from its name, so that it is found again",
        )  # fmt: skip
    return found


def mark(xml: str, tag: str) -> Mapping[str, str] | None:
    """What we wrote into the metadata of a document, None in somebody else's."""
    return _mark(element(xml, tag))


def machine(xml: str) -> Machine:
    """What a domain document says."""
    root = element(xml, "domain")
    devices = root.find("devices")
    devices = Element("devices") if devices is None else devices
    return Machine(
        identity=_identity(root),
        kind=root.get("type", ""),
        memory=_size(root.find("memory"), "KiB"),
        vcpus=int(_text(root, "vcpu") or 1),
        disks=tuple(map(_disk, devices.findall("disk"))),
        interfaces=tuple(map(_interface, devices.findall("interface"))),
        host_devices=tuple(map(_host_device, devices.findall("hostdev"))),
        mark=_mark(root),
        metadata=_metadata(root),
        has_agent=any(
            _attribute(each, "target", "name") == AGENT for each in devices.findall("channel")
        ),
        console_log=_console_log(devices),
    )


def network(xml: str) -> Network:
    """What a network document says; whether it is active stands in none."""
    root = element(xml, "network")
    ip = next((each for each in root.findall("ip") if each.get("family", "ipv4") == "ipv4"), None)
    forward = root.find("forward")
    hosts = () if ip is None else ip.findall("dhcp/host")
    return Network(
        identity=_identity(root),
        bridge=_attribute(root, "bridge", "name"),
        forward="" if forward is None else forward.get("mode", "nat"),
        subnet="" if ip is None else _subnet(ip),
        gateway="" if ip is None else ip.get("address", ""),
        reservations=tuple(
            Reservation(each.get("mac", "").lower(), each.get("ip", ""), each.get("name", ""))
            for each in hosts
        ),
        mark=_mark(root),
        xml=xml,
    )


def pool(xml: str) -> Pool:
    """What a pool document says; its volumes have documents of their own."""
    root = element(xml, "pool")
    return Pool(
        identity=_identity(root),
        kind=root.get("type", ""),
        path=_text(root, "target/path"),
        capacity=_size(root.find("capacity")),
        available=_size(root.find("available")),
    )


def volume(xml: str, *, pool: str) -> Volume:
    """What a volume document says."""
    root = element(xml, "volume")
    return Volume(
        name=_text(root, "name"),
        pool=pool,
        path=_text(root, "target/path"),
        format=_attribute(root, "target/format", "type"),
        capacity=_size(root.find("capacity")),
        allocation=_size(root.find("allocation")),
        backing=_text(root, "backingStore/path"),
    )


def pci_device(xml: str) -> PciDevice:
    """What the document of a node device with the capability `pci` says."""
    root = element(xml, "device")
    found = root.find("capability[@type='pci']")
    if found is None:
        raise PermanentError("libvirt", f"read {_text(root, 'name')}", "it is no PCI device")
    group = found.find("iommuGroup")
    members = () if group is None else group.findall("address")
    return PciDevice(
        name=_text(root, "name"),
        address=_address({part: _text(found, part) for part in _PARTS}),
        pci_class=_text(found, "class"),
        vendor_id=_attribute(found, "vendor", "id"),
        vendor=_text(found, "vendor"),
        product_id=_attribute(found, "product", "id"),
        product=_text(found, "product"),
        driver=_text(root, "driver/name"),
        iommu_group=None if group is None else int(group.get("number", 0)),
        iommu_members=tuple(sorted(_address(each.attrib) for each in members)),
        mediated_types=tuple(
            map(_mediated_type, found.findall("capability[@type='mdev_types']/type"))
        ),
    )


_PARTS = ("domain", "bus", "slot", "function")


def _address(parts: Mapping[str, str]) -> str:
    """Of numbers that libvirt writes as hexadecimal in domains and as decimal in node devices."""
    domain, bus, slot, function = (int(parts.get(each) or "0", 0) for each in _PARTS)
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


def _identity(root: Element) -> Identity:
    return Identity(_text(root, "name"), _text(root, "uuid").lower())


def _mark(root: Element) -> Mapping[str, str] | None:
    found = root.find(f"metadata/{_MARK}")
    return None if found is None else dict(found.attrib)


def _metadata(root: Element) -> dict[str, str]:
    found = root.findall("metadata/*")
    return {
        each.tag.partition("}")[0].lstrip("{"): ElementTree.tostring(each, "unicode").strip()
        for each in found
    }


def _disk(found: Element) -> Disk:
    source = found.find("source")
    given: Mapping[str, str] = {} if source is None else source.attrib
    path = given.get("file") or given.get("dev") or given.get("dir") or given.get("name", "")
    if "volume" in given:
        path = f"{given.get('pool', '')}/{given['volume']}"
    return Disk(
        target=_attribute(found, "target", "dev"),
        device=found.get("device", "disk"),
        source=path,
        format=_attribute(found, "driver", "type"),
        is_read_only=found.find("readonly") is not None,
    )


def _interface(found: Element) -> Interface:
    source = found.find("source")
    given: Mapping[str, str] = {} if source is None else source.attrib
    return Interface(
        mac=_attribute(found, "mac", "address").lower(),
        network=given.get("network") or given.get("bridge") or given.get("dev", ""),
        model=_attribute(found, "model", "type"),
    )


def _host_device(found: Element) -> HostDevice:
    kind = found.get("type", "")
    source = found.find("source/address")
    given: Mapping[str, str] = {} if source is None else source.attrib
    return HostDevice(
        kind=kind,
        address=_address(given) if kind == "pci" else "",
        uuid=given.get("uuid", "") if kind == "mdev" else "",
        is_managed=found.get("managed") == "yes",
    )


def _console_log(devices: Element) -> str:
    for port in (*devices.findall("serial"), *devices.findall("console")):
        written = _attribute(port, "log", "file")
        if port.get("type") == "file":
            written = written or _attribute(port, "source", "path")
        if written:
            return written
    return ""


def _mediated_type(found: Element) -> MediatedType:
    return MediatedType(
        name=found.get("id", ""),
        description=_text(found, "name"),
        device_api=_text(found, "deviceAPI"),
        available=int(_text(found, "availableInstances") or 0),
    )


def _subnet(ip: Element) -> str:
    mask = ip.get("netmask") or ip.get("prefix") or "32"
    try:
        return str(IPv4Network(f"{ip.get('address')}/{mask}", strict=False))
    except ValueError:
        return ""


def _size(found: Element | None, unit: str = "bytes") -> int:
    if found is None or not (found.text or "").strip():
        return 0
    return int((found.text or "").strip()) * _UNITS[found.get("unit", unit).lower()]


def _text(root: Element, path: str) -> str:
    return (root.findtext(path) or "").strip()


def _attribute(root: Element, path: str, name: str) -> str:
    found = root.find(path)
    return "" if found is None else found.get(name, "")
