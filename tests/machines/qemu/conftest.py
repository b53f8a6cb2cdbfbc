"""One cluster on QEMU's driver, and an image from which nothing boots."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hypervisor.cell import Hypervisor
from tests.machines.qemu import emulated
from tests.machines.qemu.emulated import Emulated


@pytest.fixture
def qemu(hypervisor: Hypervisor, tmp_path: Path) -> Iterator[Emulated]:
    """A lab; the consoles of its machines are in `logs` of the test's directory afterwards."""
    with emulated.emulated(hypervisor, tmp_path / "logs") as lab:
        yield lab


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A machine of it runs, and boots nothing."""
    return emulated.empty_image(tmp_path / "image.qcow2")
