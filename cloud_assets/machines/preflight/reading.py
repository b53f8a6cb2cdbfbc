"""Reads the facts of this host: each by its resource, nothing changed but a guest that ends."""

import getpass
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from cloud_assets.machines.desired import Desired
from cloud_assets.machines.plan import Change
from cloud_assets.machines.preflight.examination import Starting, examine, examine_start, remote
from cloud_assets.machines.preflight.facts import Devices, Facts, Holder, Kvm, Libvirt
from cloud_assets.machines.preflight.finding import Finding
from cloud_assets.machines.preflight.hypervisor import VIRTIOFSD
from cloud_assets.machines.spec import desired
from cloud_assets.settings.machines import Clusters, Machines
from resources import kvm
from resources.errors import ExternalError, NeedsRepair
from resources.host import files, holders, memory, networks, pci, services
from resources.host.kernel import kernel, program
from resources.libvirt import Connection, Observation, observation, observe

ROOT = Path("/")
_PROGRAMS = ("qemu-system-x86_64", "qemu-img", "dnsmasq")
#: It is no program for people, and in none of their paths.
_VIRTIOFSD = tuple(Path(each) / VIRTIOFSD for each in ("/usr/libexec", "/usr/lib/qemu"))


def look(clusters: Clusters, host: Machines) -> Iterator[Finding]:
    """All findings; of a libvirt elsewhere only that it answers and what machines are made with."""
    wanted = desired(clusters, host)
    answer = libvirt(host.uri)
    found = facts(wanted, host, answer)
    if is_this_host(host.uri):
        yield from examine(clusters, wanted, host, found)
    else:
        yield from remote(host, found)


def before_start(
    clusters: Clusters, host: Machines, pending: Iterable[Change]
) -> Iterator[Finding]:
    """What keeps the changes of a plan from being made; nothing of a libvirt elsewhere.

    That it answers, the plan has shown; whether its host is fit, nobody here can read.
    """
    changes = [each for each in pending if each.what == "machine" and each.applies]
    new = frozenset(each.name for each in changes if each.action in ("create", "replace"))
    names = frozenset(each.name for each in changes if each.starts)
    if not (new | names) or not is_this_host(host.uri):
        return
    starting = Starting(_only(desired(clusters, host), new | names), names, new)
    found = facts(starting.wanted, host, libvirt(host.uri), tries=bool(starting.tried))
    yield from examine_start(clusters, starting, host, found)


def _only(wanted: Desired, names: Collection[str]) -> Desired:
    """Clusters without the other machines, and those alone that have any then."""
    kept = (
        replace(each, machines=tuple(one for one in each.machines if one.name in names))
        for each in wanted.clusters
    )
    return Desired(tuple(each for each in kept if each.machines))


def is_this_host(uri: str) -> bool:
    """Whether the QEMU that libvirt has there is of this machine."""
    driver, _, place = uri.partition(":")
    return driver.split("+")[0] == "qemu" and place.startswith("///")


def devices(root: Path = ROOT) -> Devices:
    """The PCI functions; of other users' processes only root sees any."""
    found = {
        address: tuple(Holder(e.pid, e.command, services.unit(e.pid, root), e.guest) for e in each)
        for address, each in holders.holders(root).items()
    }
    return Devices(kernel(root), pci.functions(root), found)


def libvirt(uri: str, root: Path = ROOT) -> tuple[Libvirt, Observation | None]:
    """Whether it answers, and all that it has."""
    socket = services.system_socket(root) if uri == "qemu:///system" else "there"
    try:
        with Connection(uri) as connection:
            return Libvirt(uri, observation.version(connection)), observe(connection)
    except ExternalError as error:
        return Libvirt(uri, "", error.reason, error.hint or "see platform.machines", socket), None


def facts(
    wanted: Desired,
    host: Machines,
    answer: tuple[Libvirt, Observation | None],
    *,
    root: Path = ROOT,
    tries: bool | None = None,
) -> Facts:
    """Everything; where `tries` is not said, KVM is tried where a machine here may have it."""
    pools = {each.pool.path for each in wanted.clusters}
    if tries is None:
        tries = not wanted.machines or any(m.acceleration != "tcg" for m in wanted.machines)
    return Facts(
        user=getpass.getuser(),
        devices=devices(root),
        kvm=_kvm(tries and is_this_host(host.uri)),
        memory=memory.memory(root),
        pools={each: files.directory(each) for each in sorted(pools)},
        images={each: files.image(each) for each in _images(wanted)},
        taken=_taken(wanted),
        shared={each: files.is_there(each) for each in _shared(wanted)},
        interfaces=networks.interfaces(root),
        routes=networks.routes(root),
        programs=_programs(),
        public_key=_key(host.ssh_public_key),
        libvirt=answer[0],
        seen=answer[1],
    )


def _kvm(tries: bool) -> Kvm:
    has_device = kvm.DEVICE.exists()
    if not tries:
        return Kvm(has_device, None)
    try:
        return Kvm(has_device, kvm.works())
    except NeedsRepair as error:
        return Kvm(has_device, None, error.reason)


def _images(wanted: Desired) -> list[Path]:
    return list(dict.fromkeys(each.image for each in wanted.machines))


def _shared(wanted: Desired) -> list[Path]:
    return list(dict.fromkeys(m.host_path for each in wanted.machines for m in each.mounts))


def _taken(wanted: Desired) -> Mapping[str, int]:
    return {
        machine.name: files.allocated(cluster.pool.path / machine.volume.name)
        for cluster in wanted.clusters
        for machine in cluster.machines
    }


def _programs() -> Mapping[str, str | None]:
    virtiofsd = next((str(each) for each in _VIRTIOFSD if os.access(each, os.X_OK)), None)
    return {**{name: program(name) for name in _PROGRAMS}, VIRTIOFSD: virtiofsd}


def _key(path: Path) -> str | None:
    with suppress(OSError):
        return path.read_text("utf-8", "replace").strip()
    return None
