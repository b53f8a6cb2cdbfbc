"""The test driver inside a libvirtd: one state for all processes, while one is connected."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from resources.libvirt import Connection, domains, observe
from tests.hypervisor.cell import Hypervisor
from tests.hypervisor.documents import Guest

pytestmark = [pytest.mark.hypervisor]

ONE = Guest("one")
_START = """
import sys
from resources.libvirt import Connection, Identity, domains

with Connection(sys.argv[1]) as connection:
    print(domains.start(connection, Identity(*sys.argv[2:])))
"""


@pytest.fixture
def shared(hypervisor: Hypervisor) -> Iterator[Connection]:
    with Connection(hypervisor.simulated_uri) as connection:
        yield connection


def started_elsewhere(hypervisor: Hypervisor) -> str:
    command = [sys.executable, "-c", _START, hypervisor.simulated_uri, "one", ONE.identity.uuid]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_another_process_starts_what_this_one_defined(
    hypervisor: Hypervisor, shared: Connection
) -> None:
    domains.define(shared, ONE.xml())
    assert [started_elsewhere(hypervisor), started_elsewhere(hypervisor)] == ["True", "False"]
    found = observe(shared).domain("one")
    assert found is not None
    assert found.is_active


def test_what_nobody_holds_is_forgotten(hypervisor: Hypervisor) -> None:
    with Connection(hypervisor.simulated_uri) as first:
        domains.define(first, ONE.xml())
    with Connection(hypervisor.simulated_uri) as second:
        assert observe(second).domain("one") is None
