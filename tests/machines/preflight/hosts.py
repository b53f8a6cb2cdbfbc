"""A host on which all is well, and what is asked of it; tests change one thing each."""

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from cloud_assets.machines import spec
from cloud_assets.machines.preflight.examination import examine
from cloud_assets.machines.preflight.facts import Devices, Facts, Kvm, Libvirt
from cloud_assets.machines.preflight.finding import Finding
from cloud_assets.settings.machines import Clusters, Machines
from resources.host.files import Directory, Image
from resources.host.kernel import Kernel
from resources.host.memory import Memory
from resources.host.networks import Route
from resources.host.pci import Function
from resources.libvirt import Observation
from tests.machines.conftest import cloud, hpc

GPU, AUDIO = "0000:01:00.0", "0000:01:00.1"
KERNEL = Kernel(
    "intel", True, False, ("intel_iommu=on",), 20, has_kvm_module=True, nested=True,
    has_vfio=False, can_load_vfio=True,
)  # fmt: skip
HOST = Machines(pool_root=Path("/pools"), ssh_public_key=Path("/key.pub"))


def function(address: str, pci_class: str, identity: str, driver: str = "vfio-pci") -> Function:
    vendor, _, device = identity.partition(":")
    return Function(address, pci_class, vendor, device, driver, 14, (GPU, AUDIO))


DEVICES = Devices(
    KERNEL,
    {
        GPU: function(GPU, "0x030000", "10de:2805"),
        AUDIO: function(AUDIO, "0x040300", "10de:22bd"),
    },
)


def image(path: str) -> Image:
    return Image(path, True, True, "qcow2", 2**30)


def pool(path: str) -> Directory:
    return Directory(path, True, True, path, 1, 10**13, True)


FACTS = Facts(
    user="somebody",
    devices=DEVICES,
    kvm=Kvm(has_device=True, works=True),
    memory=Memory(64 * 2**30, 60 * 2**30, {2**21: 0, 2**30: 0}),
    pools={Path(each): pool(each) for each in ("/pools/hpc", "/pools/cloud")},
    images={Path(each): image(each) for each in ("/images/hpc.qcow2", "/images/cloud.qcow2")},
    taken={},
    shared={},
    interfaces=("lo", "eth0"),
    routes=(Route("eth0", IPv4Network("192.0.2.0/24")),),
    programs={"qemu-system-x86_64": "/q", "qemu-img": "/i", "dnsmasq": "/d", "virtiofsd": "/v"},
    public_key="ssh-ed25519 AAAA somebody",
    libvirt=Libvirt("qemu:///system", "9.0.0"),
    seen=Observation(),
)


def clusters(**changes: object) -> Clusters:
    """An HPC cluster and a cloud that share a GPU with its audio."""
    return Clusters.model_validate({"hpc": hpc(), "cloud": cloud(), **changes})


def findings(facts: Facts, asked: Clusters | None = None, host: Machines = HOST) -> list[Finding]:
    wanted = clusters() if asked is None else asked
    return list(examine(wanted, spec.desired(wanted, host), host, facts))


def troubles(facts: Facts, asked: Clusters | None = None, host: Machines = HOST) -> list[Finding]:
    """All that is not well."""
    return [each for each in findings(facts, asked, host) if each.level != "pass"]


def trouble(facts: Facts, asked: Clusters | None = None, host: Machines = HOST) -> Finding:
    """The only thing that is not well."""
    [found] = troubles(facts, asked, host)
    return found


def with_devices(**changes: Function) -> Facts:
    """The host with another GPU or audio."""
    named = {"gpu": GPU, "audio": AUDIO}
    functions = {**DEVICES.functions, **{named[key]: each for key, each in changes.items()}}
    return replace(FACTS, devices=replace(DEVICES, functions=functions))


def with_kernel(**changes: Any) -> Facts:
    return replace(FACTS, devices=replace(DEVICES, kernel=replace(KERNEL, **changes)))
