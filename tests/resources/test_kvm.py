"""Whether KVM works: asked of a guest, not of the device's file."""

import stat
from pathlib import Path

import pytest

from resources import kvm


@pytest.fixture(autouse=True)
def _asked_anew() -> None:
    kvm.works.cache_clear()


def program(directory: Path, script: str) -> str:
    """An emulator that does as the script says; `$2` names the accelerator."""
    found = directory / "emulator"
    found.write_text(f"#!/bin/sh\n{script}\n")
    found.chmod(found.stat().st_mode | stat.S_IXUSR)
    return str(found)


def test_without_the_device_it_does_not(tmp_path: Path) -> None:
    assert not kvm.works(tmp_path / "none", program(tmp_path, "exit 33"))


def test_without_an_emulator_it_does_not(tmp_path: Path) -> None:
    (tmp_path / "kvm").touch()
    assert not kvm.works(tmp_path / "kvm", str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("script", "works"),
    [
        ("exit 33", True),
        ("case $2 in *kvm) exit 1;; esac; exit 33", False),
        ("case $2 in *kvm) sleep 2;; esac; exit 33", False),
        ("case $2 in *tcg) exit 1;; esac; exit 33", True),
    ],
    ids=["as quick", "fails", "crawls", "nothing to compare with"],
)
def test_a_guest_must_end_by_itself_and_not_crawl(script: str, works: bool, tmp_path: Path) -> None:
    (tmp_path / "kvm").touch()
    assert kvm.works(tmp_path / "kvm", program(tmp_path, script)) is works
