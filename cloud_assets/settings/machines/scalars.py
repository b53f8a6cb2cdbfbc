"""The kinds of single values in the description of clusters, each checked where it stands.

Numbers and switches are strict: YAML has them without quotes, and text has them never.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, Strict, WithJsonSchema

Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Cores = Annotated[Whole, Field(ge=1, le=1024)]
Gigabytes = Annotated[Whole, Field(ge=1, le=65536)]

_OCTETS = r"([0-9]{1,3}\.){3}[0-9]{1,3}"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Bridge = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$")]
PciAddress = Annotated[
    str,
    Field(pattern=r"^[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]$"),
    AfterValidator(str.lower),
]
PciIdentity = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{4}$"), AfterValidator(str.lower)]
Absolute = Annotated[str, Field(pattern=r"^/")]


def _cluster_name(given: str) -> str:
    if not re.match(_NAME, given):
        raise ValueError(
            f"`{given}` cannot begin the names of libvirt's domains and files; "
            "use letters, digits, `.`, `_` and `-`, and begin with a letter or digit"
        )
    return given


def _image(given: str) -> str:
    if not given.endswith(".qcow2"):
        raise ValueError(f"`{given}` is no base image; name a file that ends in .qcow2")
    return given


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


def _schema(pattern: str, **more: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, **more})


#: Names of machines, networks and pools begin with it; they are names of files, too.
Name = Annotated[
    str, Field(max_length=40), AfterValidator(_cluster_name),
    WithJsonSchema({"type": "string", "pattern": _NAME, "maxLength": 40}),
]  # fmt: skip
Image = Annotated[str, AfterValidator(_image), _schema(r"\.qcow2$")]
Address = Annotated[
    IPv4Address, PlainValidator(_address), PlainSerializer(str),
    _schema(rf"^{_OCTETS}$", format="ipv4"),
]  # fmt: skip
AddressOrDhcp = Annotated[
    IPv4Address | Literal["DHCP"], PlainValidator(_address_or_dhcp), PlainSerializer(str),
    _schema(rf"^({_OCTETS}|DHCP)$"),
]  # fmt: skip
Subnet = Annotated[
    IPv4Network, PlainValidator(_subnet), PlainSerializer(str),
    _schema(rf"^{_OCTETS}/([89]|1[0-9]|2[0-9])$"),
]  # fmt: skip
