"""Who has a GPU, by real VFIO: libvirt is the arbiter, and nothing has to be repaired after it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from resources.errors import DeadlineExceeded, NeedsRepair, TransientError
from resources.libvirt import (
    Connection,
    DeviceInUse,
    GroupNotViable,
    NotFound,
    State,
    domains,
    holder,
    observation,
    pci_devices,
    watching,
)
from tests.hypervisor.documents import Guest
from tests.hypervisor.vfio.rig import ABSENT, AUDIO, GPU, OTHER_GPU, Rig

pytestmark = [pytest.mark.hypervisor, pytest.mark.vfio]

Eventually = Callable[[Callable[[], object]], None]
#: Of libvirt's reasons to be off.
CRASHED, FAILED = 3, 6


def with_devices(name: str, *addresses: str) -> Guest:
    """It has nothing to boot, so never hears its power button."""
    return Guest(name, kind="qemu", mebibytes=64, network=None, host_devices=addresses)


A, B = (with_devices(each, GPU, AUDIO) for each in ("vfio-a", "vfio-b"))


@pytest.fixture
def pair(passthrough: Connection) -> Iterator[Connection]:
    """A and B are defined with the same GPU and audio, and off."""
    with defined(passthrough, A, B):
        yield passthrough


@contextmanager
def defined(connection: Connection, *guests: Guest) -> Iterator[None]:
    for each in guests:
        assert domains.define(connection, each.xml()) == "created"
    try:
        yield
    finally:
        for each in guests:
            domains.destroy(connection, each.identity)
            domains.undefine(connection, each.identity)


def drivers(connection: Connection) -> tuple[str, str]:
    found = {each.address: each.driver for each in pci_devices(connection)}
    return found[GPU], found[AUDIO]


WITH_HOST, WITH_GUEST = ("bochs-drm", "snd_hda_intel"), ("vfio-pci", "vfio-pci")


def state(connection: Connection, guest: Guest) -> tuple[State, int]:
    found = observation.domain(connection, guest.name)
    assert found is not None
    return found.state, found.reason


def holds(connection: Connection) -> str:
    found = holder(connection, GPU)
    return found.name if found else ""


def refused(connection: Connection, guest: Guest) -> DeviceInUse:
    with pytest.raises(DeviceInUse) as caught:
        domains.start(connection, guest.identity)
    return caught.value


def test_an_absent_address_is_refused_at_the_start(passthrough: Connection) -> None:
    lost = with_devices("vfio-lost", ABSENT)
    with defined(passthrough, lost):
        with pytest.raises(NotFound, match=f"{ABSENT}: no such host device") as caught:
            domains.start(passthrough, lost.identity)
        assert "lspci" in str(caught.value.hint)


def test_a_gpu_without_its_audio_is_refused_and_goes_back_to_the_host(
    passthrough: Connection,
) -> None:
    half = with_devices("vfio-half", GPU)
    with defined(passthrough, half):
        with pytest.raises(GroupNotViable) as caught:
            domains.start(passthrough, half.identity)
        (group,) = {
            each.iommu_group for each in pci_devices(passthrough) if each.address in (GPU, AUDIO)
        }
        assert (caught.value.group, caught.value.device) == (group, GPU)
        assert state(passthrough, half) == (State.OFF, FAILED)
    assert drivers(passthrough) == WITH_HOST


def test_devices_have_class_driver_and_group(passthrough: Connection) -> None:
    found = {each.address: each for each in pci_devices(passthrough)}
    gpu, audio, other = (found[each] for each in (GPU, AUDIO, OTHER_GPU))
    assert [each.pci_class for each in (gpu, audio, other)] == ["0x030000", "0x040300", "0x038000"]
    assert [each.is_display for each in (gpu, audio, other)] == [True, False, True]
    assert drivers(passthrough) == WITH_HOST
    assert gpu.iommu_group is not None
    assert gpu.iommu_group == audio.iommu_group != other.iommu_group
    assert gpu.iommu_members == audio.iommu_members == (GPU, AUDIO)
    assert other.iommu_members == (OTHER_GPU,)


def test_a_gpu_in_use_is_refused_with_who_has_it(pair: Connection) -> None:
    assert holder(pair, GPU) is None
    domains.start(pair, A.identity)
    assert drivers(pair) == WITH_GUEST
    problem = refused(pair, B)
    assert (problem.device, problem.holder) == (GPU, A.name)
    assert state(pair, B) == (State.OFF, FAILED)
    assert (holds(pair), state(pair, A)[0]) == (A.name, State.RUNNING)


def test_a_paused_guest_keeps_its_gpu(pair: Connection) -> None:
    domains.start(pair, A.identity)
    pair.handle().lookupByName(A.name).suspend()
    assert state(pair, A)[0] is State.PAUSED
    assert refused(pair, B).holder == A.name
    assert holds(pair) == A.name


def test_the_audio_alone_is_refused_while_the_gpu_is_in_use(pair: Connection) -> None:
    deaf = with_devices("vfio-audio", AUDIO)
    domains.start(pair, A.identity)
    with defined(pair, deaf):
        problem = refused(pair, deaf)
    assert (problem.device, problem.holder) == (AUDIO, A.name)


def test_a_gpu_in_another_group_is_free(pair: Connection) -> None:
    other = with_devices("vfio-other", OTHER_GPU)
    domains.start(pair, A.identity)
    with defined(pair, other):
        assert domains.start(pair, other.identity)
        assert holds(pair) == A.name


def test_a_destroyed_guest_gives_its_gpu_back_at_once(pair: Connection) -> None:
    domains.start(pair, A.identity)
    domains.destroy(pair, A.identity)
    assert (drivers(pair), holds(pair)) == (WITH_HOST, "")
    assert domains.start(pair, B.identity)
    assert holds(pair) == B.name


def test_a_hung_guest_is_destroyed_and_its_gpu_handed_over(pair: Connection) -> None:
    domains.start(pair, A.identity)
    with pytest.raises(DeadlineExceeded):
        domains.shutdown(pair, A.identity, timeout_seconds=1)
    assert refused(pair, B).holder == A.name
    assert domains.destroy(pair, A.identity)
    assert domains.start(pair, B.identity)


def test_a_killed_emulator_leaves_its_gpu_free(vfio: Rig, pair: Connection) -> None:
    domains.start(pair, A.identity)
    with watching(pair) as watch:
        vfio.kill_emulator(A.name)
        watch.wait(A.name, "stopped", timeout_seconds=60)
    assert state(pair, A) == (State.OFF, CRASHED)
    assert drivers(pair) == WITH_HOST
    assert domains.start(pair, B.identity)


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_a_restart_of_libvirtd_forgets_nobody(
    vfio: Rig, pair: Connection, eventually: Eventually, signal: str
) -> None:
    domains.start(pair, A.identity)
    with watching(pair) as watch:
        vfio.end_daemon(signal)
        with pytest.raises(TransientError):
            watch.wait(A.name, "never", timeout_seconds=60)
    eventually(lambda: answers(pair, lambda: holds(pair) == A.name))
    assert refused(pair, B).holder == A.name
    assert state(pair, A)[0] is State.RUNNING


def test_of_two_with_autostart_one_gets_the_gpu(
    vfio: Rig, pair: Connection, eventually: Eventually
) -> None:
    for each in (A, B):
        domains.set_autostart(pair, each.identity, True)
    vfio.end_daemon("TERM", as_after_boot=True)

    def settled() -> bool:
        return {state(pair, A), state(pair, B)} >= {(State.OFF, FAILED)} and holds(pair) != ""

    eventually(lambda: answers(pair, settled))
    winner, loser = (A, B) if holds(pair) == A.name else (B, A)
    assert state(pair, winner)[0] is State.RUNNING
    assert refused(pair, loser).holder == winner.name


def answers(connection: Connection, question: Callable[[], bool]) -> bool:
    """Whether it is so; not while libvirtd starts."""
    try:
        connection.handle()
        return question()
    except (TransientError, NeedsRepair):
        return False
