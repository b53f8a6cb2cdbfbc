"""XML of domains, networks and pools for tests, marked as ours unless a test wants none."""

import uuid
from dataclasses import dataclass, field
from pathlib import Path

from resources.libvirt import Identity, mark

#: Guests see this network alone; it leads nowhere.
NETWORK, GATEWAY = "tiny", "10.77.0.1"


def identity(name: str) -> Identity:
    """The UUID is made from the name, as the product makes it."""
    return Identity(name, str(uuid.uuid5(uuid.NAMESPACE_URL, name)))


def mac(name: str) -> str:
    digits = uuid.uuid5(uuid.NAMESPACE_DNS, name).hex[:6]
    return ":".join(("52:54:00", digits[:2], digits[2:4], digits[4:]))


@dataclass(frozen=True)
class Guest:
    """A domain to be written as XML; `kernel` and `initramfs` where it boots them directly."""

    name: str
    kind: str = "test"
    mebibytes: int = 96
    kernel: Path | None = None
    initramfs: Path | None = None
    words: tuple[str, ...] = ()
    disks: tuple[Path, ...] = ()
    seed: Path | None = None
    host_devices: tuple[str, ...] = ()
    console_log: Path | None = None
    network: str | None = NETWORK
    marked: bool = True
    extra: str = field(default="")

    @property
    def identity(self) -> Identity:
        return identity(self.name)

    @property
    def mac(self) -> str:
        return mac(self.name)

    def xml(self) -> str:
        metadata = f"<metadata>{mark({'cluster': 'tests'})}</metadata>" if self.marked else ""
        return f"""<domain type='{self.kind}'>
          <name>{self.name}</name><uuid>{self.identity.uuid}</uuid>{metadata}
          <memory unit='MiB'>{self.mebibytes}</memory><vcpu>1</vcpu>
          <os><type arch='x86_64'{"" if self.kind == "test" else " machine='pc'"}>hvm</type>
            {self._boot()}</os>
          <features><acpi/></features><on_reboot>restart</on_reboot>
          <devices>{"".join(self._devices())}{self.extra}</devices>
        </domain>"""

    def _boot(self) -> str:
        if self.kernel is None:
            return ""
        words = " ".join(("console=ttyS0", "quiet", *self.words))
        return (
            f"<kernel>{self.kernel}</kernel><initrd>{self.initramfs}</initrd>"
            f"<cmdline>{words}</cmdline>"
        )

    def _devices(self) -> list[str]:
        found = [
            f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
            f"<source file='{path}'/><target dev='vd{letter}' bus='virtio'/></disk>"
            for letter, path in zip("abcd", self.disks, strict=False)
        ]
        if self.seed is not None:
            found.append(
                f"<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
                f"<source file='{self.seed}'/><target dev='vdz' bus='virtio'/><readonly/></disk>"
            )
        if self.network is not None:
            found.append(
                f"<interface type='network'><mac address='{self.mac}'/>"
                f"<source network='{self.network}'/><model type='virtio'/></interface>"
            )
        if self.console_log is not None:
            found.append(
                f"<serial type='pty'><log file='{self.console_log}' append='off'/></serial>"
            )
        return found + [_host_device(each) for each in self.host_devices]


def agent() -> str:
    """The channel through which a guest agent is asked."""
    return (
        "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
        "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
    )


def network(name: str = NETWORK, *, gateway: str = GATEWAY, marked: bool = True) -> str:
    """Isolated, with DHCP for the upper half of a /24."""
    metadata = f"<metadata>{mark({})}</metadata>" if marked else ""
    subnet = gateway.rpartition(".")[0]
    return f"""<network><name>{name}</name><uuid>{identity(name).uuid}</uuid>{metadata}
      <bridge name='br-{name}' stp='off'/><ip address='{gateway}' netmask='255.255.255.0'>
      <dhcp><range start='{subnet}.128' end='{subnet}.254'/></dhcp></ip></network>"""


def pool(name: str, path: Path) -> str:
    """A pool of files in a directory."""
    return (
        f"<pool type='dir'><name>{name}</name><uuid>{identity(name).uuid}</uuid>"
        f"<target><path>{path}</path></target></pool>"
    )


def _host_device(address: str) -> str:
    domain, bus, rest = address.split(":")
    slot, function = rest.split(".")
    return (
        f"<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x{domain}' "
        f"bus='0x{bus}' slot='0x{slot}' function='0x{function}'/></source></hostdev>"
    )
