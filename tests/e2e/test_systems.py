"""A system that is away, slow, full or read-only: the checkpoint gets through once it is mended."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from cloud_assets.stages import REGISTERED_MODEL
from resources.supervisor import client
from tests.doubles.embedded_platform import MODEL, EmbeddedPlatform

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

AWAY_SECONDS = 20


def order(platform: EmbeddedPlatform, method: str, *arguments: object) -> None:
    client.call(platform.supervisor.files.socket, method, *arguments, timeout_seconds=60)


def through(platform: EmbeddedPlatform, key: str) -> None:
    """The checkpoint serves in the end, and nothing of it is there twice."""
    platform.until(lambda: (platform.served() or ("",))[0] == key)
    platform.until_settled([key])
    assert len(platform.promotions(key)) == 1
    assert len(platform.versions(key)) == 1
    assert platform.champion() == key
    assert platform.answers()


def test_a_checkpoint_gets_through_an_outage_of_mlflow(platform: EmbeddedPlatform) -> None:
    order(platform, "stopProcess", "mlflow", True)
    key = platform.drop("away", seed=1)
    platform.until_stage(key, REGISTERED_MODEL)
    time.sleep(AWAY_SECONDS)
    order(platform, "startProcess", "mlflow", False)
    through(platform, key)


def test_a_checkpoint_gets_through_a_slow_mlflow(platform: EmbeddedPlatform) -> None:
    with frozen(platform.pid("mlflow")):
        key = platform.drop("slow", seed=2)
        platform.until_stage(key, REGISTERED_MODEL)
        time.sleep(AWAY_SECONDS)
    through(platform, key)


def may_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("mount") is not None and sys.platform == "linux"


@pytest.mark.skipif(not may_mount(), reason="mounts small filesystems")
def test_a_full_store_holds_the_checkpoint_with_the_fix_until_there_is_room(
    platform: EmbeddedPlatform,
) -> None:
    with store_of(platform, key := f"{MODEL}.full.1", "size=128k") as store:
        platform.drop("full", seed=3)
        reason, fix = held(platform, key)
        assert "the disk is full" in reason
        assert "free space" in fix
        assert platform.versions(key) == []
        remount(store, "size=100m")
        through(platform, key)


@pytest.mark.skipif(not may_mount(), reason="mounts small filesystems")
def test_a_read_only_store_holds_the_checkpoint_with_the_fix_until_it_is_writable(
    platform: EmbeddedPlatform,
) -> None:
    with store_of(platform, key := f"{MODEL}.read-only.1", "size=100m,ro") as store:
        platform.drop("read-only", seed=4)
        reason, fix = held(platform, key)
        assert "read-only" in reason
        assert "mount it writable" in fix
        remount(store, "rw")
        through(platform, key)


def held(platform: EmbeddedPlatform, key: str) -> tuple[str, str]:
    """Reason and fix, once the checkpoint is held up."""

    def found() -> tuple[str, str] | None:
        each = platform.progress().get(key)
        return (each.reason, each.fix) if each and each.state == "held" else None

    return platform.until(found)


@contextmanager
def store_of(platform: EmbeddedPlatform, key: str, options: str) -> Iterator[Path]:
    """A filesystem of its own where the checkpoint `key` is published."""
    directory = platform.home / "store" / "checkpoints" / key
    directory.mkdir(parents=True)
    mount("-t", "tmpfs", "-o", options, "tmpfs", str(directory))
    try:
        yield directory
    finally:
        # Lazily: a model server may hold files of it.
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def remount(directory: Path, options: str) -> None:
    mount("-o", f"remount,{options}", str(directory))


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process and its children that do not move, as on a machine that swaps."""
    first = psutil.Process(pid)
    family = [first, *first.children(recursive=True)]
    for each in family:
        each.suspend()
    try:
        yield
    finally:
        for each in family:
            each.resume()
