"""Two clusters that share the GPU of the machine with an IOMMU: their file, their guests there."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from cloud_assets.machines.desired import Machine
from cloud_assets.machines.gpus.site import GpuSite
from cloud_assets.settings_file import read_cluster_file
from resources.libvirt import Identity, domains, mark
from tests.hypervisor.vfio.rig import AUDIO, GPU, Rig
from tests.machines.gpus.site import FILE, SERVES, TRAINS, machine, passed

#: A boot sector that waits for its power button and powers off, as an operating system does.
#: It enables PWRBTN in PM1_EN (port 0x602), halts until PM1_STS (0x600) has it, then writes S5 to
#: PM1_CNT (0x604); SeaBIOS has these ports there.
_HEARS = bytes.fromhex("fa ba0206 b80001 ef fb f4 ba0006 ed f6c401 74f6 ba0406 b80020 ef f4 ebfd")
_SECTOR = _HEARS.ljust(510, b"\0") + b"\x55\xaa"


def written(directory: Path, rig: Rig, **platform: object) -> Path:
    """The example's file with the devices of the rig."""
    text = FILE.read_text("utf-8").replace("0000:01:00.0", GPU).replace("0000:01:00.1", AUDIO)
    machines = {"uri": rig.uri, "shutdown_timeout_seconds": 60}
    settings = {"ports": {"dagster": 1, "mlflow": 2, "gateway": 3}, "machines": machines}
    given = {**yaml.safe_load(text), "platform": {**settings, **platform}}
    path = directory / "cluster.yaml"
    path.write_text(yaml.safe_dump(given), "utf-8")
    return path


def site_of(file: Path) -> GpuSite:
    read = read_cluster_file(file)
    return GpuSite.of(read.platform, read.clusters)


@contextmanager
def defined(rig: Rig, site: GpuSite) -> Iterator[None]:
    """Both machines are there and off; nothing of them stays."""
    found = [machine(site.desired, each) for each in (TRAINS, SERVES)]
    try:
        for each in found:
            image(rig, each.name)
            domains.define(site.connection, document(each))
        yield
    finally:
        for each in found:
            identity = Identity(each.name, each.uuid)
            domains.destroy(site.connection, identity)
            domains.undefine(site.connection, identity)


def image(rig: Rig, name: str) -> None:
    """What the machine boots."""
    text = base64.b64encode(_SECTOR).decode("ascii")
    rig.run(f"echo {text} | base64 -d > {_place(name)}")


def without_image(rig: Rig, name: str) -> None:
    rig.run(f"rm -f {_place(name)}")


def document(wanted: Machine, *, hears: bool = True) -> str:
    """A guest of 64 MiB with the GPU; one that does not hear has nothing to boot."""
    disk = f"""<disk type='file' device='disk'><driver name='qemu' type='raw'/>
      <source file='{_place(wanted.name)}'/><target dev='hda' bus='ide'/></disk>"""
    return f"""<domain type='qemu'><name>{wanted.name}</name><uuid>{wanted.uuid}</uuid>
      <metadata>{mark({"cluster": wanted.cluster})}</metadata>
      <memory unit='MiB'>64</memory><vcpu>1</vcpu>
      <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
      <devices>{disk if hears else ""}{passed(wanted.hostdevs)}</devices></domain>"""


def _place(name: str) -> str:
    return f"/var/tmp/{name}.img"
