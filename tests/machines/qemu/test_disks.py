"""Disks of real machines: grown, never shrunk, full, locked, or without the image below them."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloud_assets.machines.applying import lifecycle
from cloud_assets.machines.desired import Desired
from cloud_assets.machines.domain_xml import pool_identity
from resources.libvirt import ImageInUse, NoRoom, NotFound, storage
from tests.machines.conftest import SMALL
from tests.machines.qemu.emulated import LEADER, WORKER, Emulated, alone, errors

pytestmark = pytest.mark.hypervisor

GIBIBYTE = 2**30


def of_size(qemu: Emulated, image: Path, gigabytes: int) -> Desired:
    """Both machines with disks of that size."""
    size = {**SMALL, "disk_gb": gigabytes}
    return qemu.cluster(
        image,
        controller={**size, "ip_address": "192.168.100.10"},
        compute_nodes=[{**size, "ip": "192.168.100.11", "auto_start": False}],
    )


def sizes(qemu: Emulated) -> dict[str, int]:
    """In GiB, of both machines, as libvirt tells them."""
    found = qemu.observed().pool("hpc-pool")
    assert found is not None
    disks = [each for each in found.volumes if each.name.endswith(".qcow2")]
    return {each.name.removesuffix(".qcow2"): each.capacity // GIBIBYTE for each in disks}


def test_a_larger_disk_comes_at_once_to_what_is_off_and_with_the_next_start_to_what_runs(
    qemu: Emulated, image: Path
) -> None:
    qemu.apply(of_size(qemu, image, 10))
    larger = of_size(qemu, image, 12)
    assert errors(qemu.apply(larger)) == []
    assert sizes(qemu) == {LEADER: 10, WORKER: 12}
    [left] = qemu.plan(larger).pending
    assert (left.name, left.why) == (LEADER, "its disk is to be larger")
    assert left.withheld == f"it is on; `ai-how vm stop {LEADER}`, then apply again"
    lifecycle.stop(qemu.connection, LEADER, patience=1, force=True)
    assert errors(qemu.apply(larger)) == []
    assert sizes(qemu) == {LEADER: 12, WORKER: 12}
    assert (qemu.active(), qemu.pending(larger)) == ({LEADER}, [])


def test_a_smaller_disk_is_another_disk_and_is_made_for_nobody_who_did_not_allow_it(
    qemu: Emulated, image: Path
) -> None:
    qemu.apply(of_size(qemu, image, 12))
    smaller = of_size(qemu, image, 10)
    assert qemu.apply(smaller) == ()
    assert sizes(qemu) == {LEADER: 12, WORKER: 12}
    found = qemu.plan(smaller).pending
    assert {each.why for each in found} == {"its disk is to be smaller"}
    assert all("--allow-data-loss" in each.withheld for each in found)
    assert errors(qemu.apply(smaller, allow_data_loss=True)) == []
    assert sizes(qemu) == {LEADER: 10, WORKER: 10}
    assert qemu.pending(smaller) == []


def test_a_small_file_is_written_once_and_again_where_it_differs(
    qemu: Emulated, image: Path
) -> None:
    qemu.apply(alone(qemu.cluster(image)))
    written = (qemu.connection, pool_identity("hpc"), "hpc-other-seed.iso")
    outcomes = [storage.upload(*written, each) for each in (b"one", b"other", b"other")]
    assert outcomes == ["created", "changed", "unchanged"]
    assert storage.download(*written) == b"other"


@contextmanager
def small_file_system(qemu: Emulated, kibibytes: int) -> Iterator[None]:
    """Within, the pool's directory is a file system of that size, for the hypervisor alone."""
    where = qemu.pools / "hpc"
    where.mkdir(parents=True, exist_ok=True)
    qemu.inside("mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "small", str(where))
    try:
        yield
    finally:
        # Machines may still run from it.
        qemu.inside("umount", "--lazy", str(where))


@pytest.mark.parametrize("kibibytes", [8, 216])
def test_a_full_file_system_is_told_with_its_pool_and_leaves_nothing_half_made(
    kibibytes: int, qemu: Emulated, image: Path
) -> None:
    desired = alone(qemu.cluster(image))
    with small_file_system(qemu, kibibytes):
        [error] = errors(qemu.apply(desired))
        assert isinstance(error, NoRoom), error
        assert f"{qemu.pools}/hpc of the pool hpc-pool has no room" in str(error)
        assert f"of {kibibytes} KiB are free" in str(error)
        assert "machines.pool_root" in str(error.hint)
        assert (qemu.names(), qemu.files()) == (set(), set())
        qemu.inside("mount", "-o", "remount,size=64m", str(qemu.pools / "hpc"))
        assert errors(qemu.apply(desired)) == []
        assert qemu.pending(desired) == []


def test_an_image_that_is_not_there_is_named_and_nothing_is_made(
    qemu: Emulated, tmp_path: Path
) -> None:
    gone = tmp_path / "gone.qcow2"
    [error] = errors(qemu.apply(alone(qemu.cluster(gone))))
    assert isinstance(error, NotFound), error
    assert f"put {gone} back" in str(error.hint)
    assert (qemu.names(), qemu.files()) == (set(), set())


def test_an_image_that_disappeared_is_named_and_the_disk_stays(qemu: Emulated, image: Path) -> None:
    desired = alone(qemu.cluster(image))
    qemu.apply(desired)
    lifecycle.stop(qemu.connection, LEADER, patience=1, force=True)
    image.rename(image.with_name("elsewhere"))
    [error] = errors(qemu.apply(desired))
    assert isinstance(error, NotFound), error
    assert f"put {image} back" in str(error.hint)
    assert f"{LEADER}.qcow2" in qemu.files()
    image.with_name("elsewhere").rename(image)
    assert errors(qemu.apply(desired)) == []
    assert qemu.active() == {LEADER}


def test_a_disk_that_another_process_writes_to_is_told_with_that_process(
    qemu: Emulated, image: Path
) -> None:
    desired = alone(qemu.cluster(image))
    qemu.apply(desired)
    lifecycle.stop(qemu.connection, LEADER, patience=1, force=True)
    disk = qemu.pools / "hpc" / f"{LEADER}.qcow2"
    with opened(disk) as holder:
        [error] = errors(qemu.apply(desired))
        assert isinstance(error, ImageInUse), error
        assert error.reason == f"its disk {disk} is open in qemu-io ({holder})"
    assert errors(qemu.apply(desired)) == []


@contextmanager
def opened(disk: Path) -> Iterator[int]:
    """Within, a process has it open to write; its number."""
    with subprocess.Popen(
        ["qemu-io", "-f", "qcow2", str(disk)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        # It answers once it has the lock.
        holder.stdin.write(b"length\n")
        holder.stdin.flush()
        holder.stdout.readline()
        yield holder.pid
        holder.stdin.close()


def test_a_machine_whose_disk_could_not_be_written_is_told_and_goes_on(
    qemu: Emulated, image: Path
) -> None:
    """As a pause by hand: it is resumed and not started anew."""
    desired = alone(qemu.cluster(image))
    qemu.apply(desired)
    qemu.connection.handle().lookupByName(LEADER).suspend()
    assert (qemu.change(desired, LEADER).action, qemu.change(desired, LEADER).why) == (
        "start", "it is paused",
    )  # fmt: skip
    assert errors(qemu.apply(desired)) == []
    assert qemu.pending(desired) == []
