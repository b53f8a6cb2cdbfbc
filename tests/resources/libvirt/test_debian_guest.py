"""A Debian machine as the product makes one: overlay, seed, agent, SSH; a minute or two."""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from resources.libvirt import Connection, Reservation, domains, guests, networks, seed, storage
from resources.libvirt.api.events import watching
from resources.libvirt.seed import Seed, User
from tests.hypervisor import debian_image, documents
from tests.hypervisor.cell import Hypervisor
from tests.hypervisor.documents import Guest, identity
from tests.testbed.build import cache

pytestmark = [pytest.mark.hypervisor]

NETWORK, POOL = identity(documents.NETWORK), identity("machines")
ADDRESS = "10.77.0.21"


@dataclass(frozen=True)
class Shell:
    """Logs in by the key that the seed has."""

    hypervisor: Hypervisor
    key: Path

    def __call__(self, *command: str) -> str:
        options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null",
                   "LogLevel=ERROR", "ConnectionAttempts=120", "ConnectTimeout=10")  # fmt: skip
        given: Sequence[str] = [word for each in options for word in ("-o", each)]
        login = ["ssh", "-i", str(self.key), *given, f"admin@{ADDRESS}", *command]
        ran = subprocess.run(
            self.hypervisor.inside(login), capture_output=True, text=True, check=True
        )
        return ran.stdout.strip()


@pytest.fixture
def machine(hypervisor: Hypervisor, emulated: Connection, tmp_path: Path) -> Iterator[Guest]:
    """Defined with its disk, seed and address; nothing is left of it."""
    images = hypervisor.home / "machines"
    wanted = Guest(
        "debian-1", kind="qemu", mebibytes=512, disks=(images / "disk.qcow2",),
        seed=images / "seed.iso", console_log=hypervisor.home / "debian.log",
        extra=documents.agent(),
    )  # fmt: skip
    networks.define(emulated, documents.network())
    networks.start(emulated, NETWORK)
    networks.reserve(emulated, NETWORK, Reservation(wanted.mac, ADDRESS, wanted.name))
    storage.define_pool(emulated, documents.pool(POOL.name, images))
    backing = cache.have(debian_image.debian_image()) / debian_image.DISK
    storage.overlay(emulated, POOL, "disk.qcow2", backing=str(backing), capacity=2**32)
    storage.overlay(emulated, POOL, "disk.qcow2", backing=str(backing), capacity=5 * 2**30)
    content = seed.image(Seed("debian-1", "first", (User("admin", (_public(tmp_path),)),)))
    assert storage.upload(emulated, POOL, "seed.iso", b"another") == "created"
    assert storage.upload(emulated, POOL, "seed.iso", content) == "changed"
    assert storage.upload(emulated, POOL, "seed.iso", content) == "unchanged"
    domains.define(emulated, wanted.xml())
    yield wanted
    domains.destroy(emulated, wanted.identity)
    domains.undefine(emulated, wanted.identity)
    for name in ("disk.qcow2", "seed.iso"):
        assert storage.delete_volume(emulated, POOL, name)
    storage.undefine_pool(emulated, POOL)
    networks.undefine(emulated, NETWORK)


def _public(folder: Path) -> str:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True
    )
    return (folder / "key.pub").read_text("ascii").strip()


def test_a_machine_boots_to_its_agent_and_ssh_and_ends_by_its_button(
    hypervisor: Hypervisor, emulated: Connection, machine: Guest, tmp_path: Path
) -> None:
    shell = Shell(hypervisor, tmp_path / "key")
    with watching(emulated) as watch:
        domains.start(emulated, machine.identity)
        watch.wait(machine.name, "agent connected", timeout_seconds=600)
    assert guests.agent_answers(emulated, machine.name)
    addresses = guests.agent_addresses(emulated, machine.name)
    assert (machine.mac, ADDRESS) in {(each.mac, each.address) for each in addresses}
    assert shell("sudo", "hostname") == "debian-1"
    assert "done" in shell("cloud-init status --wait || true")
    # The disk has been grown to what its overlay has.
    assert int(shell("df --output=size --block-size=1M / | tail -1")) > 4500
    assert domains.shutdown(emulated, machine.identity, timeout_seconds=300)
