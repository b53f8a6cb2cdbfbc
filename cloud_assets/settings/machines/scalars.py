"""The kinds of single values in the description of clusters, each checked where it stands.

Numbers and switches are strict: YAML has them without quotes, and text has them never.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, Strict, WithJsonSchema

Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Cores = Annotated[Whole, Field(ge=1, le=1024)]
Gigabytes = Annotated[Whole, Field(ge=1, le=65536)]

_OCTETS = r"([0-9]{1,3}\.){3}[0-9]{1,3}"


def _shown(pattern: str, **more: object) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, **more})


@dataclass(frozen=True)
class Spelling:
    """How a text is spelt, by a pattern for programs and words for people."""

    pattern: str
    words: str

    def check(self, given: str) -> str:
        if not re.search(self.pattern, given) or "\n" in given:
            raise ValueError(f"`{given}` is no {self.words}")
        return given


_NAME = Spelling(
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$",
    "name for a cluster, which begins the names of libvirt's domains and of files; take letters, "
    "digits, `.`, `_` and `-`, at most 40, and begin with a letter or digit",
)
_BRIDGE = Spelling(
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$",
    "name of a bridge, which has at most 15 letters, digits, `.`, `_` and `-`, as in virbr100",
)
_PCI_ADDRESS = Spelling(
    r"^[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]$",
    'PCI address; write it as `lspci -D` does, in quotes, as in "0000:01:00.0"',
)
_PCI_IDENTITY = Spelling(
    r"^[0-9a-fA-F]{4}$", 'identity of a PCI device; write four hexadecimal digits, as in "10de"'
)
_ABSOLUTE = Spelling(r"^/", "absolute path; begin it with `/`")
_IMAGE = Spelling(r"\.qcow2$", "base image; name a file that ends in .qcow2")


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise ValueError(f"`{given}` is no text; put it in quotes")
    return given


def _address(given: object) -> IPv4Address:
    text = _text(given)
    if text == "DHCP":
        raise ValueError("DHCP is no address; this machine needs a fixed one, as in 192.168.100.10")
    try:
        return IPv4Address(text)
    except AddressValueError as error:
        raise ValueError(f"`{text}` is no IPv4 address, as in 192.168.100.10") from error


def _address_or_dhcp(given: object) -> IPv4Address | Literal["DHCP"]:
    if given == "DHCP":
        return "DHCP"
    try:
        return _address(given)
    except ValueError as error:
        raise ValueError(f"{error}, or DHCP") from error


def _subnet(given: object) -> IPv4Network:
    """With the host's bits off, as the earlier tool took it."""
    text = _text(given)
    try:
        found = IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError) as error:
        raise ValueError(f"`{text}` is no IPv4 subnet, as in 192.168.100.0/24") from error
    if "/" not in text or not 8 <= found.prefixlen <= 29:
        raise ValueError(f"`{text}` is no subnet of /8 to /29, as in 192.168.100.0/24")
    return found


Name = Annotated[str, AfterValidator(_NAME.check), _shown(_NAME.pattern)]
Bridge = Annotated[str, AfterValidator(_BRIDGE.check), _shown(_BRIDGE.pattern)]
Absolute = Annotated[str, AfterValidator(_ABSOLUTE.check), _shown(_ABSOLUTE.pattern)]
Image = Annotated[str, AfterValidator(_IMAGE.check), _shown(_IMAGE.pattern)]
PciAddress = Annotated[
    str, AfterValidator(_PCI_ADDRESS.check), AfterValidator(str.lower), _shown(_PCI_ADDRESS.pattern)
]
PciIdentity = Annotated[
    str,
    AfterValidator(_PCI_IDENTITY.check),
    AfterValidator(str.lower),
    _shown(_PCI_IDENTITY.pattern),
]
Address = Annotated[
    IPv4Address,
    PlainValidator(_address),
    PlainSerializer(str),
    _shown(rf"^{_OCTETS}$", format="ipv4"),
]
AddressOrDhcp = Annotated[
    IPv4Address | Literal["DHCP"],
    PlainValidator(_address_or_dhcp),
    PlainSerializer(str),
    _shown(rf"^({_OCTETS}|DHCP)$"),
]
Subnet = Annotated[
    IPv4Network,
    PlainValidator(_subnet),
    PlainSerializer(str),
    _shown(rf"^{_OCTETS}/([89]|1[0-9]|2[0-9])$"),
]
