"""The machine with an IOMMU: it cannot be left behind, and leads nowhere."""

import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.hypervisor import home
from tests.hypervisor.vfio import rig
from tests.hypervisor.vfio.rig import Rig
from tests.testbed import pins

pytestmark = [pytest.mark.hypervisor, pytest.mark.vfio]

_RUN = """
import time
from tests.hypervisor.vfio import rig

with rig.running() as found:
    print(found.home, found.port, flush=True)
    time.sleep(600)
"""


def test_a_line_that_fails_says_so(vfio: Rig) -> None:
    with pytest.raises(AssertionError, match="exit status 3"):
        vfio.run("echo no; exit 3")
    assert vfio.run("echo yes") == "yes\n"


def test_it_listens_on_loopback_alone_and_reaches_nothing(vfio: Rig) -> None:
    local = [each.laddr for each in psutil.net_connections("tcp") if each.laddr]
    listening = {each.ip for each in local if each.port == vfio.port}
    assert listening == {"127.0.0.1"}
    # The gateway would be this machine.
    vfio.run(f"! busybox nc -w 2 10.0.2.2 {vfio.port} < /dev/null")


def test_a_killed_test_run_leaves_no_process_and_its_files_to_the_next() -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", _RUN], stdout=subprocess.PIPE, text=True, cwd=pins.REPOSITORY
    )
    with run:
        assert run.stdout is not None
        left, port = run.stdout.readline().split()
        (machine,) = psutil.Process(run.pid).children()
        run.kill()
    machine.wait(timeout=60)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", int(port))):
        pass
    assert Path(left).exists()
    with home.claimed(rig.PREFIX):
        assert not Path(left).exists()
