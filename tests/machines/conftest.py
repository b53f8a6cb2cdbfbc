"""Clusters of small machines, and libvirt's test driver to have them on."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from cloud_assets.machines import spec
from cloud_assets.machines.converge import Patience, Result, converge
from cloud_assets.machines.desired import Desired
from cloud_assets.machines.plan import Change, Options, Plan, Rendering, plan
from cloud_assets.settings.machines import Clusters, Machines
from resources.errors import PermanentError
from resources.libvirt import Connection, Identity, domains, observe
from tests.hypervisor.bound import require_bindings

RENDERING = Rendering("qemu", host_cpus=4, user="admin", ssh_key="ssh-ed25519 AAAA somebody")
GPU = {"pci_address": "0000:01:00.0", "device_type": "gpu"}
AUDIO = {"pci_address": "0000:01:00.1", "device_type": "audio"}
SMALL = {"cpu_cores": 1, "memory_gb": 1, "disk_gb": 10}


def hpc(**changes: object) -> dict[str, object]:
    """A controller and two compute nodes, the second with a GPU."""
    passed = {"enabled": True, "devices": [GPU, AUDIO]}
    return {
        "name": "hpc",
        "base_image_path": "/images/hpc.qcow2",
        "network": {"subnet": "192.168.100.0/24", "bridge": "virbr100"},
        "controller": {**SMALL, "ip_address": "192.168.100.10"},
        "compute_nodes": [
            {**SMALL, "ip": "192.168.100.11"},
            {**SMALL, "ip": "DHCP", "pcie_passthrough": passed},
        ],
        "slurm_config": {"partitions": ["p"], "default_partition": "p"},
        **changes,
    }


def cloud(**changes: object) -> dict[str, object]:
    """A control plane, a worker, and one with the same GPU that is left off."""
    passed = {"enabled": True, "devices": [GPU, AUDIO]}
    return {
        "name": "cloud",
        "base_image_path": "/images/cloud.qcow2",
        "network": {"subnet": "192.168.200.0/24", "bridge": "virbr200"},
        "control_plane": {**SMALL, "ip_address": "192.168.200.10"},
        "worker_nodes": [
            {**SMALL, "ip": "192.168.200.11"},
            {**SMALL, "ip": "192.168.200.12", "auto_start": False, "pcie_passthrough": passed},
        ],
        "kubernetes_config": {"cni": "calico", "ingress": "nginx", "storage_class": "local-path"},
        **changes,
    }


def wanted(**clusters: object) -> Desired:
    """What these clusters ask for, with their pools below /pools."""
    host = Machines(pool_root=Path("/pools"))
    return spec.desired(Clusters.model_validate(clusters), host)


@dataclass
class Lab:
    """A hypervisor, and what was told while it was brought to something."""

    connection: Connection
    steps: list[tuple[str, str]] = field(default_factory=list)
    rendering: Rendering = RENDERING

    def plan(self, desired: Desired, **options: bool) -> Plan:
        return plan(desired, observe(self.connection), self.rendering, Options(**options))

    def apply(self, desired: Desired, **options: bool) -> tuple[Result, ...]:
        return converge(
            self.connection, self.plan(desired, **options), patience=Patience(None),
            told=lambda step: self.steps.append((step.name, step.phase)),
        )  # fmt: skip

    def pending(self, desired: Desired, **options: bool) -> list[tuple[str, str]]:
        return [(each.name, each.action) for each in self.plan(desired, **options).pending]

    def change(self, desired: Desired, name: str, **options: bool) -> Change:
        """The only change of a thing."""
        [found] = [each for each in self.plan(desired, **options).changes if each.name == name]
        return found

    def names(self) -> set[str]:
        """The domains beside that which the test driver comes with."""
        return {each.name for each in observe(self.connection).domains} - {"test"}

    def active(self) -> set[str]:
        found = observe(self.connection).domains
        return {each.name for each in found if each.is_active} - {"test"}

    def volumes(self, pool: str) -> set[str]:
        found = observe(self.connection).pool(pool)
        return {each.name for each in found.volumes} if found else set()

    def redefine(self, name: str, old: str, new: str) -> None:
        """By hand, as somebody with virsh would."""
        domain = self.connection.handle().lookupByName(name)
        xml = domain.XMLDesc(self.connection.libvirt.VIR_DOMAIN_XML_INACTIVE)
        assert old in xml
        self.connection.handle().defineXML(xml.replace(old, new))


@pytest.fixture
def lab() -> Iterator[Lab]:
    require_bindings()
    with Connection("test:///default") as connection:
        yield Lab(connection)


def without(desired: Desired, name: str) -> Desired:
    """The same file with one machine less."""
    return Desired(
        tuple(
            replace(each, machines=tuple(m for m in each.machines if m.name != name))
            for each in desired.clusters
        )
    )


def refuse_start(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have the hypervisor of this process start all machines but this one."""
    start = domains.start

    def refusing(connection: Connection, identity: Identity) -> bool:
        if identity.name == name:
            raise PermanentError("libvirt", f"start {name}", "there is no room")
        return start(connection, identity)

    monkeypatch.setattr(domains, "start", refusing)
