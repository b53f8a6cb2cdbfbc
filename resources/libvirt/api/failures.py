"""What a libvirt error means: trying again, or who has to act and how. Pure.

Decided by code and, where one code means several things, by the few words that have stayed so.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from resources.errors import ExternalError, NeedsRepair, PermanentError, TransientError

SYSTEM = "libvirt"
_INTERNAL, _NO_CONNECT, _INVALID_CONNECTION, _INVALID_ARGUMENT, _FAILED = 1, 5, 6, 8, 9
_NO_MEMORY, _NO_SUPPORT, _RPC, _DENIED, _AUTH = 2, 3, 39, 29, 45
_INVALID, _UNSUPPORTED, _TIMEOUT, _ABORTED, _BUSY, _ACCESS = 55, 67, 68, 78, 87, 88
_AGENT = frozenset({86, 97})
_XML = frozenset({16, 20, 21, 22, 27, 32, 35, 44, 92})
_ABSENT = frozenset({42, 43, 49, 50, 53, 66, 72, 80, 99})
_EXISTS = frozenset({28, 37, 76, 90})
_UNFIT = frozenset({_NO_SUPPORT, _UNSUPPORTED, 74, 84})
#: The parts of libvirt in which a failure is one of the connection and not of what was asked.
_OF_CONNECTION = frozenset({7, 13, 50, 66})  # RPC, remote, libssh2, libssh

_IN_USE = re.compile(r"PCI device ([0-9a-f:.]+) is in use(?: by driver \S+, domain (.+))?")
_MEDIATED_IN_USE = re.compile(r"[Mm]ediated device (\S+) is in use(?: by driver \S+, domain (.+))?")
_NOT_VIABLE = re.compile(r"(?:vfio(?:-pci)?,? (\S+?): )?group (\d+) is not viable")
_LOST = re.compile(
    r"[Cc]onnection reset|[Cc]onnection refused|[Bb]roken pipe|End of file while reading|"
    r"client socket is closed|[Cc]annot (?:recv|write) data|connection closed|"
    r"keepalive|no longer valid|not open"
)
_NOT_THERE = re.compile(r"Failed to connect socket to '([^']*)': No such file")
_FORBIDDEN = re.compile(r"[Pp]ermission denied|authentication (?:failed|unavailable)")
_LOCKED = re.compile(r"cannot acquire state change lock|[Tt]imed out during operation")
#: libvirt's words where it looks for the device, QEMU's where a start finds it missing.
_ABSENT_DEVICE = re.compile(r"Device \S+ not found|no such host device")
#: The guest agent's words, of a command that its settings or its system forbid or lack.
_NO_FILE = re.compile(r"QEMU agent command 'guest-file-open'.*No such file or directory")
_NO_COMMAND = re.compile(
    r"QEMU agent command '\S+': .*"
    r"(?:has been disabled|has not been found|not allowed|is not supported)"
)
#: QEMU's words where another process writes to an image; the image stands on its next line.
_IMAGE_IN_USE = re.compile(r'Failed to get (?:shared )?"\w+" lock(?:.*?using the image \[(.+?)\])?')
_NO_IMAGE = re.compile(
    r"(?:Cannot access (?:backing|storage) file '|inaccessible backing store volume |"
    r"Could not open ')([^']+?)'?(?: of storage file .*)?: No such file"
)
_BRIDGE = re.compile(
    r"bridge name '(\S+?)' already in use|creating bridge interface (\S+?): File exists"
)
_FULL = re.compile(r"No space left on device|[Dd]isk quota")
_MEMORY = re.compile(r"[Cc]annot allocate memory|cannot set up guest memory")
_TAKEN = re.compile(r"already exists|already in use by|is already defined|there is an existing")
_RUNNING_SERVICE = "start libvirtd there, then try again"
_PASSTHROUGH = "switch the IOMMU on (BIOS and intel_iommu=on), load vfio-pci; see `dmesg`"


class NotFound(NeedsRepair):
    """There is no such domain, network, pool, volume, snapshot or device."""


class NotListening(NeedsRepair):
    """A hypervisor has no socket: it is not installed, not started, or just starts again."""


class AlreadyThere(PermanentError):
    """One of that name, UUID or address is there already, and is not this one."""


class NotOurs(PermanentError):
    """Something of that name belongs to somebody else, and nothing was done to it."""


class Unsupported(NeedsRepair):
    """This hypervisor, or this machine, cannot do that at all."""


class AgentSilent(TransientError):
    """The guest agent does not answer: the guest boots, is busy, or has none."""


class DeviceInUse(NeedsRepair):
    """Another domain has the device; `holder` is its name, "" where libvirt does not say."""

    def __init__(self, action: str, reason: str, *, device: str, holder: str) -> None:
        who = f"`{holder}`" if holder else "the domain that has it"
        super().__init__(SYSTEM, action, reason, hint=f"stop {who} first, it has {device}")
        self.device = device
        self.holder = holder


class GroupNotViable(NeedsRepair):
    """Some devices of an IOMMU group are still with the host; `device` "" where it is not said."""

    def __init__(self, action: str, reason: str, *, group: int, device: str) -> None:
        hint = f"give all devices of IOMMU group {group} to the domain, its audio function too"
        super().__init__(SYSTEM, action, reason, hint=hint)
        self.group = group
        self.device = device


class ImageInUse(NeedsRepair):
    """Another process has an image open; `path` "" where QEMU does not say which."""

    def __init__(self, action: str, path: str, *, holders: Sequence[str] = ()) -> None:
        whose = ", ".join(holders)
        super().__init__(
            SYSTEM, action, f"its disk {path} is open in {whose or 'another process'}",
            hint=f"end it first{'' if whose else f'; `fuser -v {path}` says which it is'}",
        )  # fmt: skip
        self.path = path


class NoRoom(NeedsRepair):
    """A file system is full; a pool says which."""


@dataclass(frozen=True)
class Failure:
    """An error as libvirt puts it: its code, the part that it comes from, its words."""

    code: int
    part: int
    message: str


def error(given: Failure, action: str) -> ExternalError:
    """The error of ours for one of libvirt's."""
    said = _shortened(given.message)
    return (
        _of_device(given, action, said)
        or _of_connection(given, action, said)
        or _of_agent(action, said)
        or _of_request(given, action, said)
        or _of_machine(given, action, said)
    )


def _of_device(given: Failure, action: str, said: str) -> ExternalError | None:
    used = _IN_USE.search(given.message) or _MEDIATED_IN_USE.search(given.message)
    if used:
        holder = (used[2] or "").strip()
        return DeviceInUse(action, said, device=used[1], holder=holder)
    viable = _NOT_VIABLE.search(given.message)
    if viable:
        return GroupNotViable(action, said, group=int(viable[2]), device=viable[1] or "")
    locked = _IMAGE_IN_USE.search(said)
    return ImageInUse(action, locked[1] or "") if locked else None


def _of_connection(given: Failure, action: str, said: str) -> ExternalError | None:
    absent = _NOT_THERE.search(given.message)
    if absent:
        hint = f"install libvirt and start libvirtd, nothing listens at {absent[1]}"
        return NotListening(SYSTEM, action, said, hint=hint)
    reached = given.part in _OF_CONNECTION or given.code == _RPC
    if given.code in (_DENIED, _AUTH, _ACCESS) or (reached and _FORBIDDEN.search(given.message)):
        hint = "give this user access to libvirt (on Debian the group `libvirt`)"
        return NeedsRepair(SYSTEM, action, said, hint=hint)
    if given.code == _NO_CONNECT:
        return NeedsRepair(SYSTEM, action, said, hint="correct the URI of the connection")
    if (reached and _LOST.search(given.message)) or given.code in (_RPC, _INVALID_CONNECTION):
        return TransientError(SYSTEM, action, said, hint=_RUNNING_SERVICE)
    return None


def _of_agent(action: str, said: str) -> ExternalError | None:
    """What an agent that answers has refused."""
    if _NO_FILE.search(said):
        return NotFound(SYSTEM, action, said, hint="look at it in the guest")
    if _NO_COMMAND.search(said):
        hint = "let the guest's qemu-guest-agent do it: its settings block it"
        return Unsupported(SYSTEM, action, said, hint=hint)
    return None


def _of_request(given: Failure, action: str, said: str) -> ExternalError | None:
    bridge = _BRIDGE.search(said)
    if bridge:
        hint = f"name another bridge, or remove {bridge[1] or bridge[2]} (`ip -d link` shows it)"
        return AlreadyThere(SYSTEM, action, said, hint=hint)
    if given.code in _ABSENT:
        return NotFound(SYSTEM, action, said, hint="create it first, `virsh list --all` shows all")
    if given.code in _EXISTS or (given.code in (_FAILED, _INVALID) and _TAKEN.search(said)):
        hint = "rename one of the two, or remove the one that is there"
        return AlreadyThere(SYSTEM, action, said, hint=hint)
    if given.code in _XML:
        return PermanentError(SYSTEM, action, said, hint="correct the XML")
    if given.code in _AGENT or (given.code == _INVALID and "QEMU guest agent" in said):
        hint = "wait for the guest to boot, and have qemu-guest-agent in its image"
        return AgentSilent(SYSTEM, action, said, hint=hint)
    if given.code in (_TIMEOUT, _ABORTED, _BUSY) or _LOCKED.search(said):
        return TransientError(SYSTEM, action, said)
    return None


def _of_machine(given: Failure, action: str, said: str) -> ExternalError:
    if given.code in _UNFIT:
        hint = _PASSTHROUGH if "host" in said and "device" in said else None
        return Unsupported(SYSTEM, action, said, hint=hint)
    if _FULL.search(said):
        return NoRoom(SYSTEM, action, said, hint="free space in the pool's file system")
    image = _NO_IMAGE.search(said)
    if image:
        hint = f"put {image[1]} back: nothing of the disk can be read without it"
        return NotFound(SYSTEM, action, said, hint=hint)
    if given.code == _NO_MEMORY or _MEMORY.search(said):
        return NeedsRepair(SYSTEM, action, said, hint="stop other domains, or give this one less")
    if _ABSENT_DEVICE.search(said):
        hint = "correct the PCI address, `lspci -D` shows those of this machine"
        return NotFound(SYSTEM, action, said, hint=hint)
    return PermanentError(SYSTEM, action, said)


def _shortened(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= 1000 else f"{line[:1000]} …"
