"""The hypervisor of the tests: it leaves nothing, however its test run ends."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from resources.libvirt import Connection, networks, observe
from tests.hypervisor import cell, documents
from tests.hypervisor.cell import Hypervisor
from tests.testbed import pins

pytestmark = [pytest.mark.hypervisor]

_RUN = """
import time
from tests.hypervisor import cell

with cell.running() as found:
    print(found.home, found.process, flush=True)
    time.sleep(600)
"""


def test_its_networks_are_not_those_of_the_machine(hypervisor: Hypervisor) -> None:
    with Connection(hypervisor.uri) as connection:
        networks.define(connection, documents.network("apart"))
        networks.start(connection, documents.identity("apart"))
        inside = subprocess.run(
            hypervisor.inside(["ip", "-brief", "link"]), capture_output=True, text=True, check=True
        )
        assert "br-apart" in inside.stdout
        assert "br-apart" not in psutil.net_if_addrs()
        networks.undefine(connection, documents.identity("apart"))


def test_two_at_a_time_do_not_see_one_another(hypervisor: Hypervisor) -> None:
    with cell.running() as other, Connection(other.uri) as second:
        networks.define(second, documents.network("second"))
        with Connection(hypervisor.uri) as first:
            assert observe(first).network("second") is None
    assert not other.home.exists()


def test_a_killed_test_run_leaves_no_process_and_its_files_to_the_next() -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", _RUN], stdout=subprocess.PIPE, text=True, cwd=pins.REPOSITORY
    )
    with run:
        assert run.stdout is not None
        home, number = run.stdout.readline().split()
        first = psutil.Process(int(number))
        run.kill()
    first.wait(timeout=60)
    assert Path(home).exists()
    with cell.running():
        assert not Path(home).exists()
