"""Real guests without disks: boot, lease, console, ACPI, crashes; some seconds each."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from resources.errors import DeadlineExceeded, NeedsRepair, TransientError
from resources.libvirt import (
    AgentSilent,
    Connection,
    Reservation,
    State,
    Unsupported,
    domains,
    guests,
    holder,
    networks,
    observation,
    observe,
    snapshots,
    storage,
    watching,
)
from tests.hypervisor import documents, tiny_guest
from tests.hypervisor.cell import Hypervisor
from tests.hypervisor.documents import Guest, identity
from tests.testbed.build import cache

pytestmark = [pytest.mark.hypervisor]

Eventually = Callable[[Callable[[], object]], None]
NETWORK = identity(documents.NETWORK)


@pytest.fixture(scope="module")
def template(hypervisor: Hypervisor) -> Guest:
    """A guest that boots the tiny one; what writes its console is the hypervisor's."""
    parts = cache.have(tiny_guest.tiny_guest())
    return Guest(
        "tiny", kind="qemu", kernel=parts / tiny_guest.KERNEL,
        initramfs=parts / tiny_guest.INITRAMFS, console_log=hypervisor.home / "tiny.log",
    )  # fmt: skip


@pytest.fixture
def guest(emulated: Connection, template: Guest) -> Iterator[Guest]:
    """Defined, in a network of its own; nothing is left of it."""
    networks.define(emulated, documents.network())
    networks.start(emulated, NETWORK)
    domains.define(emulated, template.xml())
    yield template
    domains.destroy(emulated, template.identity)
    domains.undefine(emulated, template.identity)
    networks.undefine(emulated, NETWORK)


def until_up(connection: Connection, name: str = "tiny") -> None:
    deadline = time.monotonic() + 120
    while tiny_guest.UP not in guests.console_tail(connection, name):
        assert time.monotonic() < deadline, guests.console_tail(connection, name)
        time.sleep(0.1)


def booted(connection: Connection, guest: Guest, *words: str) -> None:
    if words:
        domains.define(connection, replace(guest, words=words).xml())
    domains.start(connection, guest.identity)
    until_up(connection)


def state(connection: Connection) -> tuple[State, int]:
    found = observation.domain(connection, "tiny")
    assert found is not None
    return found.state, found.reason


def test_a_definition_that_is_repeated_is_unchanged(emulated: Connection, guest: Guest) -> None:
    assert domains.define(emulated, guest.xml()) == "unchanged"
    assert networks.define(emulated, documents.network()) == "unchanged"
    found = observe(emulated).domain("tiny")
    assert found is not None
    assert found.live.mark == {"cluster": "tests"}


def test_a_guest_gets_the_address_that_is_kept_for_it(emulated: Connection, guest: Guest) -> None:
    networks.reserve(emulated, NETWORK, Reservation(guest.mac, "10.77.0.9", "tiny"))
    booted(emulated, guest)
    (lease,) = guests.leases(emulated, documents.NETWORK)
    assert (lease.mac, lease.address) == (guest.mac, "10.77.0.9")
    assert lease.expires is not None


def test_a_guest_without_a_lease_has_none(emulated: Connection, guest: Guest) -> None:
    booted(emulated, guest, tiny_guest.QUIET_CARD)
    assert guests.leases(emulated, documents.NETWORK) == ()


def test_the_power_button_turns_it_off(emulated: Connection, guest: Guest) -> None:
    seen: list[State] = []
    booted(emulated, guest)
    with watching(emulated) as watch:
        assert domains.shutdown(
            emulated, guest.identity, timeout_seconds=120,
            progress=lambda _, now: seen.append(now),
        )  # fmt: skip
        assert watch.wait("tiny", "stopped", timeout_seconds=60).detail == 0
    assert State.RUNNING in seen
    assert state(emulated) == (State.OFF, 1)
    assert "tiny guest ends" in guests.console_tail(emulated, "tiny")


def test_a_guest_that_does_not_hear_its_button_runs_on(emulated: Connection, guest: Guest) -> None:
    booted(emulated, guest, tiny_guest.DEAF)
    with pytest.raises(DeadlineExceeded, match="it is running 1 s after") as caught:
        domains.shutdown(emulated, guest.identity, timeout_seconds=1)
    assert "--force" in str(caught.value.hint)
    assert domains.destroy(emulated, guest.identity)
    assert state(emulated) == (State.OFF, 2)


def test_an_agent_that_is_not_there_is_silent(emulated: Connection, guest: Guest) -> None:
    domains.define(emulated, replace(guest, extra=documents.agent()).xml())
    domains.start(emulated, guest.identity)
    assert not guests.agent_answers(emulated, "tiny")
    with pytest.raises(AgentSilent):
        guests.agent_addresses(emulated, "tiny")


def test_a_killed_emulator_is_seen_and_started_again(
    hypervisor: Hypervisor, emulated: Connection, guest: Guest
) -> None:
    domains.start(emulated, guest.identity)
    with watching(emulated) as watch:
        hypervisor.kill_emulator("tiny")
        watch.wait("tiny", "stopped", timeout_seconds=60)
    assert state(emulated) == (State.OFF, 3)
    assert domains.start(emulated, guest.identity)


def test_guests_outlive_their_daemon_and_the_connection_comes_back(
    hypervisor: Hypervisor, emulated: Connection, guest: Guest, eventually: Eventually
) -> None:
    domains.start(emulated, guest.identity)
    with watching(emulated) as watch:
        hypervisor.kill_daemon()
        with pytest.raises(TransientError):
            watch.wait("tiny", "never", timeout_seconds=60)

    def answers() -> bool:
        try:
            return state(emulated)[0] is State.RUNNING
        # Until its socket is there again it is as if nothing was installed.
        except (TransientError, NeedsRepair):
            return False

    eventually(answers)


def test_a_device_of_the_host_needs_an_iommu(emulated: Connection, guest: Guest) -> None:
    address = next(each.address for each in observe(emulated).devices if not each.is_bridge)
    domains.define(emulated, replace(guest, host_devices=(address,)).xml())
    with pytest.raises(Unsupported, match="passthrough") as caught:
        domains.start(emulated, guest.identity)
    assert "IOMMU" in str(caught.value.hint)
    assert holder(emulated, address) is None


def test_snapshots_keep_disk_and_memory(
    hypervisor: Hypervisor, emulated: Connection, guest: Guest
) -> None:
    images = hypervisor.home / "snapshots"
    pool = identity("snapshots")
    storage.define_pool(emulated, documents.pool("snapshots", images))
    storage.overlay(emulated, pool, "empty.qcow2", backing=_empty(images), capacity=2**26,
                    backing_format="raw")  # fmt: skip
    domains.define(emulated, replace(guest, disks=(images / "empty.qcow2",)).xml())
    snapshots.create(emulated, guest.identity, "off")
    booted(emulated, guest)
    snapshots.create(emulated, guest.identity, "up")
    domains.destroy(emulated, guest.identity)
    snapshots.revert(emulated, guest.identity, "up")
    assert state(emulated)[0] is State.RUNNING
    snapshots.revert(emulated, guest.identity, "off")
    assert state(emulated)[0] is State.OFF
    found = [(each.name, each.state) for each in snapshots.listed(emulated, guest.identity)]
    assert found == [("off", "shutoff"), ("up", "running")]
    assert domains.undefine(emulated, guest.identity)
    storage.undefine_pool(emulated, pool)


def _empty(folder: Path) -> str:
    path = folder / "base.raw"
    path.write_bytes(bytes(2**20))
    return str(path)


def test_the_console_of_a_domain_without_a_log_is_refused(
    emulated: Connection, guest: Guest
) -> None:
    domains.define(emulated, replace(guest, console_log=None).xml())
    with pytest.raises(NeedsRepair, match="written to no file"):
        guests.console_tail(emulated, "tiny")
