"""How a document that libvirt has differs from one that we would define; pure.

libvirt adds to what it is given, so only that is compared of which ours speaks, and the parts that
somebody may have added by hand.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from resources.libvirt import parsing

#: Elements that stand several times side by side, by what tells them apart.
_KEYS: Mapping[str, tuple[str, str]] = {
    "disk": ("target", "dev"),
    "interface": ("mac", "address"),
    "filesystem": ("target", "dir"),
    "channel": ("target", "name"),
    "serial": ("target", "port"),
    "vcpupin": (".", "vcpu"),
    "cell": (".", "id"),
    "feature": (".", "name"),
    "page": (".", "size"),
    "host": (".", "mac"),
}
#: Of these all are ours: another one was put there by hand, or is of former settings.
_WHOLE = frozenset({"disk", "interface", "filesystem", "hostdev", "host", "vcpupin", "cell"})
_WHOLE_PARTS = ("memoryBacking/", "cpu/topology", "cpu/numa", "cpu/feature", "features/kvm")
_NOT_COMPARED = frozenset({"metadata", "name", "uuid"})
#: libvirt writes the version of a machine type down.
_MACHINE = re.compile(r"^pc-q35-.*$")


@dataclass(frozen=True)
class FieldDifference:
    """One place of a document; `old` None where it is not there yet, `new` None where it goes."""

    path: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        return f"{self.path}: {self.old or 'nothing'} → {self.new or 'nothing'}"


def differences(
    wanted: str, found: str, tag: str, *, without: str = ""
) -> tuple[FieldDifference, ...]:
    """Where `found` is not what `wanted` says, by path.

    `without` is the beginning of paths that do not count, as `cpu` of a running domain, in which
    libvirt has put the processor that the host has.
    """
    ours = dict(_flat(parsing.element(wanted, tag), ""))
    theirs = dict(_flat(parsing.element(found, tag), ""))
    changed = [
        FieldDifference(path, theirs.get(path), value)
        for path, value in ours.items()
        if theirs.get(path) != value
    ]
    added = [
        FieldDifference(path, value or "there", None)
        for path, value in theirs.items()
        if path not in ours and _is_whole(path)
    ]
    counted = (each for each in (*changed, *added) if not without or not _within(each, without))
    return tuple(sorted(counted, key=lambda each: each.path))


def _within(difference: FieldDifference, part: str) -> bool:
    return re.match(rf"{re.escape(part)}(/|\[|$)", difference.path) is not None


def _is_whole(path: str) -> bool:
    """Whether it is an element, and not one of its attributes, of a part that is all ours."""
    last = path.rpartition("/")[2]
    if last.startswith("@"):
        return False
    return last.partition("[")[0] in _WHOLE or path.startswith(_WHOLE_PARTS)


def _flat(element: Element, path: str) -> Iterator[tuple[str, str]]:
    """Every element with its text and every attribute, by path."""
    for name, value in element.attrib.items():
        where = f"{path}/@{name}" if path else f"@{name}"
        yield where, _value(where, value)
    for child in element:
        if not path and child.tag in _NOT_COMPARED:
            continue
        below = f"{path}/{_named(child)}" if path else _named(child)
        yield below, (child.text or "").strip()
        yield from _flat(child, below)


def _named(element: Element) -> str:
    if element.tag == "hostdev":
        return f"hostdev[{_address(element)}]"
    if element.tag not in _KEYS:
        return element.tag
    inner, attribute = _KEYS[element.tag]
    found = element.find(inner)
    return f"{element.tag}[{'' if found is None else found.get(attribute, '').lower()}]"


def _address(element: Element) -> str:
    found = element.find("source/address")
    if found is None:
        return ""
    if "uuid" in found.attrib:
        return found.attrib["uuid"]
    domain, bus, slot, function = (
        int(found.get(part, "0"), 0) for part in ("domain", "bus", "slot", "function")
    )
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


def _value(path: str, value: str) -> str:
    if path == "os/type/@machine" and _MACHINE.match(value):
        return "q35"
    return value.lower() if path.endswith("mac/@address") else value
