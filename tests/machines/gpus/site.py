"""Two clusters that share a GPU, and libvirt's test driver with that GPU and their machines."""

from collections.abc import Sequence
from pathlib import Path

from cloud_assets.machines.desired import Desired, Machine
from cloud_assets.machines.gpus.inventory import machine_of
from cloud_assets.machines.gpus.site import GpuSite
from cloud_assets.settings_file import read_cluster_file
from resources.libvirt import Connection, domains, mark

ROOT = Path(__file__).parents[3]
FILE = ROOT / "examples" / "clusters" / "shared-gpu.yaml"
NODE = ROOT / "tests" / "data" / "libvirt" / "node.xml"
GPU, AUDIO, ALONE = "0000:01:00.0", "0000:01:00.1", "0000:41:00.0"
TRAINS, SERVES = "hpc-compute-01", "cloud-gpu-worker-01"


def site(uri: str = f"test://{NODE}") -> GpuSite:
    """With no scheduler; the connection is this site's own world."""
    read = read_cluster_file(FILE)
    machines = read.platform.machines.model_copy(update={"uri": uri})
    return GpuSite.of(read.platform.model_copy(update={"machines": machines}), read.clusters)


def machine(desired: Desired, name: str) -> Machine:
    found = machine_of(desired, name)
    assert found is not None
    return found


def define(connection: Connection, wanted: Machine, *, start: bool = False) -> None:
    domains.define(connection, document(wanted.name, wanted.uuid, wanted.hostdevs))
    if start:
        connection.handle().lookupByName(wanted.name).create()


def document(name: str, uuid: str, devices: Sequence[str]) -> str:
    """A domain of ours with PCI devices."""
    return f"""<domain type='test'><name>{name}</name><uuid>{uuid}</uuid>
      <metadata>{mark({"cluster": "tests"})}</metadata>
      <memory unit='MiB'>64</memory><vcpu>1</vcpu><os><type arch='i686'>hvm</type></os>
      <devices>{passed(devices)}</devices></domain>"""


def passed(devices: Sequence[str]) -> str:
    """The elements of PCI devices that a domain is given."""
    return "".join(map(_hostdev, devices))


def _hostdev(address: str) -> str:
    domain, bus, rest = address.split(":")
    slot, function = rest.split(".")
    return f"""<hostdev mode='subsystem' type='pci' managed='yes'><source><address
      domain='0x{domain}' bus='0x{bus}' slot='0x{slot}' function='0x{function}'/></source>
      </hostdev>"""
