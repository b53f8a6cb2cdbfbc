"""A Debian machine by `ai-how hpc start` in the hypervisor's network: lease, agent, SSH, changes.

Minutes, for it boots twice: as the file says at first, and as it says after it was changed.
"""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from resources.libvirt import watching
from tests.hypervisor import debian_image
from tests.hypervisor.cell import Hypervisor
from tests.machines import command
from tests.machines.command import Command
from tests.machines.conftest import SMALL
from tests.machines.qemu.emulated import LEADER, Emulated
from tests.testbed.build import cache

pytestmark = pytest.mark.hypervisor

ADDRESS = "192.168.100.10"


@dataclass
class Site:
    """A file with one machine that boots, and the way into it."""

    qemu: Emulated
    hypervisor: Hypervisor
    home: Path
    leader: dict[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> Command:
        return Command(self.home / "cluster.yaml", self.hypervisor.inside([]))

    def write(self, key: str, **leader: object) -> None:
        """The file, with the key and these changes of the machine."""
        self.leader |= leader
        image = cache.have(debian_image.debian_image()) / debian_image.DISK
        clusters: dict[str, object] = {"hpc": self.qemu.written(image, controller=self.leader)}
        command.write(
            self.home / "cluster.yaml", clusters, uri=self.hypervisor.uri,
            pool_root=str(self.qemu.pools), ssh_public_key=str(self.home / f"{key}.pub"),
            boot_timeout_seconds=900, shutdown_timeout_seconds=300,
        )  # fmt: skip

    def shell(self, key: str, line: str) -> str:
        """What the line prints in the machine; whose host keys are known from the first time on."""
        options = ("BatchMode=yes", "StrictHostKeyChecking=accept-new", "LogLevel=ERROR",
                   f"UserKnownHostsFile={self.home / 'known'}", "ConnectTimeout=30")  # fmt: skip
        words = [word for each in options for word in ("-o", each)]
        login = ["ssh", "-i", str(self.home / key), *words, f"admin@{ADDRESS}", line]
        ran = subprocess.run(self.hypervisor.inside(login), capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()


@pytest.fixture
def site(qemu: Emulated, hypervisor: Hypervisor, tmp_path: Path) -> Site:
    for key in ("first", "second"):
        command.public_key(tmp_path / key)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "told").write_text(f"the host's {name}")
    return Site(qemu, hypervisor, tmp_path, {**SMALL, "cpu_cores": 2, "ip_address": ADDRESS})


def mount(site: Site, name: str) -> dict[str, object]:
    return {"tag": name, "host_path": str(site.home / name), "mount_point": f"/mnt/{name}"}


def test_a_machine_boots_as_its_file_says_and_again_as_the_file_says_then(site: Site) -> None:
    site.write("first", virtio_fs_mounts=[mount(site, "one")])
    with watching(site.qemu.connection) as watch:
        started = site.run("hpc", "start", "--json")
        watch.wait(LEADER, "agent connected", timeout_seconds=60)
    assert started.code == 0, started.told
    mine = [line for line in started.told.splitlines() if line.startswith(f"{LEADER}: ")]
    phases = [line.split()[1] for line in mine]
    assert phases[:4] == ["volume", "seed", "define", "start"]
    assert phases.index("lease") < phases.index("agent")
    assert phases[-1] == "cloud-init"
    assert started.rows[LEADER]["address"] == ADDRESS
    # A machine that is ready is so to the last of what it was told.
    assert "running" not in site.shell("first", "cloud-init status || true")
    assert site.shell("first", "hostname") == "controller"
    assert site.shell("first", "cat /mnt/one/told") == "the host's one"
    # The file system was grown to what its overlay has.
    assert 9000 < megabytes(site, "first") < 11000
    site.shell("first", "echo written before > kept; sync")

    site.write("second", disk_gb=12, virtio_fs_mounts=[mount(site, "one"), mount(site, "two")])
    planned = site.run("plan", "clusters")
    assert planned.code == 3
    assert "cloud-init: " in planned.printed
    assert f"withheld: it is on; `ai-how vm stop {LEADER}`" in planned.printed
    stopped = site.run("hpc", "stop")
    assert stopped.code == 0
    assert "cutting its power" not in stopped.told
    restarted = site.run("hpc", "start")
    assert restarted.code == 0, restarted.told
    assert site.run("plan", "clusters").code == 0

    # By the other key; the machine is known by the host keys that it had.
    assert site.shell("second", "cat /mnt/one/told /mnt/two/told") == "the host's onethe host's two"
    assert megabytes(site, "second") > 11000
    assert site.shell("second", "cat kept") == "written before"


def megabytes(site: Site, key: str) -> int:
    return int(site.shell(key, "df --output=size --block-size=1M / | tail -1"))
