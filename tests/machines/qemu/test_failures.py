"""What goes wrong around machines: a daemon that dies, names, bridges and addresses of others."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_assets.machines.applying import boot, lifecycle
from cloud_assets.machines.applying.progress import Step
from cloud_assets.machines.converge import Patience, converge
from cloud_assets.machines.desired import Desired, Machine
from resources.errors import (
    DeadlineExceeded,
    ExternalError,
    NeedsRepair,
    PermanentError,
    TransientError,
)
from resources.libvirt import AlreadyThere, domains, guests, observe
from tests.hypervisor import documents, tiny_disk, tiny_guest
from tests.hypervisor.cell import Hypervisor
from tests.hypervisor.documents import Guest
from tests.machines import command
from tests.machines.conftest import SMALL
from tests.machines.qemu.emulated import (
    LEADER,
    WORKER,
    Emulated,
    alone,
    errors,
    with_machines,
)
from tests.testbed.build import cache

pytestmark = pytest.mark.hypervisor

_SECONDS = 60


def until_said(qemu: Emulated, name: str, words: str) -> None:
    """Until the console of a guest has these words."""
    deadline = time.monotonic() + _SECONDS
    said = ""
    while words not in said:
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
        try:
            said = guests.console_tail(qemu.connection, name)
        except ExternalError as problem:
            said = str(problem)


def until_answering(qemu: Emulated) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            observe(qemu.connection)
        except (TransientError, NeedsRepair):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


@pytest.mark.parametrize("phase", ["network", "pool", "volume", "seed", "define", "start"])
def test_a_daemon_that_dies_while_machines_are_made_is_told_and_a_second_run_converges(
    phase: str, qemu: Emulated, hypervisor: Hypervisor, image: Path
) -> None:
    desired = with_machines(qemu.cluster(image), lambda each: replace(each, auto_start=True))
    killed: list[Step] = []

    def listen(step: Step) -> None:
        if step.phase == phase and not killed:
            killed.append(step)
            hypervisor.kill_daemon()

    try:
        found = errors(
            converge(qemu.connection, qemu.plan(desired), patience=Patience(None), told=listen)
        )
    except ExternalError as problem:
        found = [problem]
    assert killed
    assert [each for each in found if not isinstance(each, TransientError)] == []
    until_answering(qemu)
    assert errors(qemu.apply(desired)) == []
    assert qemu.pending(desired, prune=True) == []
    assert qemu.names() == qemu.active() == {LEADER, WORKER}


def test_a_domain_of_somebody_else_is_never_touched(qemu: Emulated, image: Path) -> None:
    """Neither by a start, nor by prune, nor by a stop, nor when all is taken down."""
    theirs = Guest(LEADER, kind="qemu", network=None, marked=False)
    found = qemu.connection.handle().defineXML(theirs.xml())
    before = found.XMLDesc(0)
    desired = qemu.cluster(image)
    try:
        change = qemu.change(desired, LEADER)
        assert (change.refused, change.why) == (
            True, "another domain has that name and is not ours",
        )  # fmt: skip
        for prune in (False, True):
            with pytest.raises(PermanentError, match="another domain has that name"):
                qemu.apply(desired, prune=prune)
        with pytest.raises(PermanentError, match="it is not the platform's"):
            lifecycle.stop(qemu.connection, LEADER, patience=1, force=True)
        qemu.take_down()
        assert qemu.connection.handle().lookupByName(LEADER).XMLDesc(0) == before
    finally:
        found.undefine()


def test_a_bridge_of_something_else_is_named_with_what_to_do(
    qemu: Emulated, hypervisor: Hypervisor, image: Path
) -> None:
    desired = qemu.cluster(image)
    qemu.in_network("ip", "link", "add", "virbr100", "type", "bridge")
    try:
        with pytest.raises(AlreadyThere, match="virbr100") as caught:
            qemu.apply(desired)
        assert "name another bridge" in str(caught.value.hint)
    finally:
        qemu.in_network("ip", "link", "delete", "virbr100")
    assert errors(qemu.apply(desired)) == []
    assert qemu.pending(desired) == []


def test_a_bridge_of_another_network_is_named_with_what_to_do(qemu: Emulated, image: Path) -> None:
    theirs = documents.network("theirs", gateway="10.99.0.1").replace("br-theirs", "virbr100")
    found = qemu.connection.handle().networkDefineXML(theirs)
    found.create()
    try:
        with pytest.raises(AlreadyThere, match="virbr100"):
            qemu.apply(qemu.cluster(image))
        assert found.isActive()
    finally:
        found.destroy()
        found.undefine()
    assert errors(qemu.apply(qemu.cluster(image))) == []


@pytest.fixture
def stranger(qemu: Emulated) -> Iterator[Guest]:
    """A guest of somebody else's that takes an address in the cluster's network."""
    parts = cache.have(tiny_guest.tiny_guest())
    guest = Guest(
        "stranger", kind="qemu", kernel=parts / tiny_guest.KERNEL, network="hpc-network",
        initramfs=parts / tiny_guest.INITRAMFS, console_log=qemu.home / "stranger.log",
    )  # fmt: skip
    yield guest
    domains.destroy(qemu.connection, guest.identity)
    domains.undefine(qemu.connection, guest.identity)


def test_an_address_that_another_card_has_leased_is_told_with_that_card(
    qemu: Emulated, stranger: Guest
) -> None:
    desired = qemu.cluster(tiny_disk.image())
    qemu.apply(alone(desired))
    domains.define(qemu.connection, stranger.xml())
    domains.start(qemu.connection, stranger.identity)
    until_said(qemu, "stranger", tiny_guest.UP)
    [lease] = [
        each for each in guests.leases(qemu.connection, "hpc-network") if each.mac == stranger.mac
    ]
    worker = {**SMALL, "ip": lease.address}
    wanted = qemu.cluster(tiny_disk.image(), compute_nodes=[worker])
    [error] = errors(qemu.booted(wanted, seconds=_SECONDS))
    assert isinstance(error, NeedsRepair)
    assert f"its address {lease.address} is leased to {stranger.mac}" in error.reason
    assert "it got 192.168.100." in error.reason
    assert f"`ai-how vm restart {WORKER}`" in str(error.hint)


def test_a_guest_that_ignores_its_button_loses_its_power_and_that_is_said(qemu: Emulated) -> None:
    desired = alone(qemu.cluster(tiny_disk.image(tiny_guest.DEAF)))
    qemu.apply(desired)
    until_said(qemu, LEADER, tiny_guest.UP)
    said: list[Step] = []
    assert lifecycle.stop(qemu.connection, LEADER, patience=2, told=said.append)
    assert [each.said for each in said] == [
        "", "it is running 2 s after its power button was pressed; cutting its power",
    ]  # fmt: skip
    assert qemu.active() == set()


def test_a_guest_that_never_boots_is_told_with_how_far_it_came(qemu: Emulated, image: Path) -> None:
    [error] = errors(qemu.booted(alone(qemu.cluster(image)), seconds=1))
    assert isinstance(error, DeadlineExceeded)
    assert error.reason == "it asked for no address after 1 s"
    assert error.hint == "its console is empty"
    # What runs is left to be looked at.
    assert qemu.active() == {LEADER}


def test_a_guest_without_a_network_is_told_with_the_end_of_its_console(qemu: Emulated) -> None:
    desired = alone(qemu.cluster(tiny_disk.image(tiny_guest.QUIET_CARD)))
    qemu.apply(desired)
    until_said(qemu, LEADER, tiny_guest.UP)
    with pytest.raises(DeadlineExceeded, match="it asked for no address") as caught:
        boot.wait(qemu.connection, boot.Guest.of(leader(desired)), patience=1)
    assert f"the end of its console:\n{tiny_guest.UP}" in str(caught.value.hint)


def test_a_guest_whose_ssh_does_not_answer_is_told_so(qemu: Emulated) -> None:
    """Out of reach here, since it is in the hypervisor's network."""
    desired = alone(qemu.cluster(tiny_disk.image()))
    qemu.apply(desired)
    until_said(qemu, LEADER, tiny_guest.UP)
    with pytest.raises(DeadlineExceeded, match="SSH does not answer after 1 s"):
        boot.wait(qemu.connection, boot.Guest.of(leader(desired)), patience=1, needs_ssh=True)


def leader(desired: Desired) -> Machine:
    return desired.machines[0]


def test_a_wait_outlives_the_daemon_and_ends_when_the_guest_answers(
    qemu: Emulated, hypervisor: Hypervisor
) -> None:
    file, key = qemu.home / "cluster.yaml", qemu.home / "key.pub"
    key.write_text("ssh-ed25519 AAAA somebody\n")
    command.write(
        file, {"hpc": qemu.written(tiny_disk.image())}, uri=hypervisor.uri,
        pool_root=str(qemu.pools), ssh_public_key=str(key), boot_timeout_seconds=_SECONDS,
    )  # fmt: skip
    run = command.Command(file, hypervisor.inside([]))
    with run.start("hpc", "start", "--json") as started:
        assert started.stderr is not None
        said = []
        for line in started.stderr:
            said.append(line.strip())
            # Libvirt has started it by then, and its SSH server comes a moment later.
            if line.startswith(f"{LEADER}: lease"):
                hypervisor.kill_daemon()
        assert started.wait(timeout=_SECONDS) == 0, said[-3:]
    # A phase that took long has its seconds behind it.
    phases = [line.split()[1] for line in said if line.startswith(f"{LEADER}: ")]
    assert ["lease" in phases, "agent" in phases, "ssh" in phases] == [True, False, True]
