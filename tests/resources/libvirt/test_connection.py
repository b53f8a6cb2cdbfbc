"""Connections: what is missing, what is not there, what is lost."""

import subprocess
import sys
from pathlib import Path

import pytest

from resources.errors import NeedsRepair, PermanentError
from resources.libvirt import Connection, observe
from resources.libvirt.api import bindings

_FORK = """
import os, sys
from resources.errors import NeedsRepair
from resources.libvirt import Connection

Connection("test:///default").handle()
child = os.fork()
if child:
    os.waitpid(child, 0)
    sys.exit()
try:
    Connection("test:///default").handle()
except NeedsRepair as error:
    os.write(1, error.reason.encode())
os._exit(0)
"""


def test_without_the_bindings_the_fix_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libvirt", None)
    with pytest.raises(NeedsRepair, match="module `libvirt` is not installed") as caught:
        Connection("test:///default").handle()
    assert "make -B setup" in str(caught.value.hint)


def test_importing_the_adapter_does_not_load_the_bindings() -> None:
    program = "import sys, resources.libvirt; sys.exit('libvirt' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.usefixtures("simulated")
@pytest.mark.parametrize("uri", ["nonsense", "nosuch:///x", "test:///no/such/file.xml"])
def test_a_uri_that_leads_nowhere_is_refused(uri: str) -> None:
    with pytest.raises(PermanentError, match=r"could not open "):
        Connection(uri).handle()


@pytest.mark.usefixtures("simulated")
def test_a_daemon_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NeedsRepair, match="Failed to connect socket") as caught:
        Connection(f"qemu+unix:///system?socket={tmp_path}/none").handle()
    assert "start libvirtd" in str(caught.value.hint)


@pytest.mark.usefixtures("simulated")
def test_errors_are_raised_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PermanentError):
        Connection("nosuch:///x").handle()
    assert capfd.readouterr() == ("", "")


def test_a_connection_that_was_closed_opens_again(simulated: Connection) -> None:
    simulated.close()
    simulated.close()
    assert observe(simulated).domains


@pytest.mark.usefixtures("simulated")
def test_a_fork_of_a_process_with_connections_opens_none() -> None:
    ran = subprocess.run([sys.executable, "-c", _FORK], capture_output=True, text=True, check=True)
    assert ran.stdout == "this is a fork"


def test_the_test_driver_is_known(simulated: Connection) -> None:
    assert simulated.is_test_driver
    assert bindings.bindings() is simulated.libvirt
