"""Connections: to libvirt's test driver, to one with GPUs, to libvirtds with QEMU."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.libvirt import Connection
from tests.hypervisor.bound import require_bindings
from tests.hypervisor.cell import Hypervisor
from tests.hypervisor.vfio.rig import Rig

DATA = Path(__file__).parents[2] / "data" / "libvirt"


@pytest.fixture
def simulated() -> Iterator[Connection]:
    """The test driver, with its own domain `test`; all of it is gone after the test."""
    yield from _opened("test:///default")


@pytest.fixture
def with_gpus() -> Iterator[Connection]:
    """The test driver with a GPU that shares a group with its audio, one alone, and a domain."""
    yield from _opened(f"test://{DATA / 'node.xml'}")


@pytest.fixture
def emulated(hypervisor: Hypervisor) -> Iterator[Connection]:
    """QEMU's driver; what a test leaves there is taken away."""
    yield from _opened(hypervisor.uri)


@pytest.fixture
def passthrough(vfio: Rig) -> Iterator[Connection]:
    """QEMU's driver on a machine that can give its GPUs away; what a test leaves is taken away."""
    yield from _opened(vfio.uri)


def _opened(uri: str) -> Iterator[Connection]:
    require_bindings()
    with Connection(uri) as connection:
        yield connection
