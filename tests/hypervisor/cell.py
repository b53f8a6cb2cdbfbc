"""A libvirtd of our own in namespaces of its own, so that the machine's is neither needed nor seen.

Its networks are in there, too: guests are reached by `Hypervisor.inside`. The kernel ends all of it
with its first process, and that one with the test run, however it ends.
"""

import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from resources.errors import ExternalError, PermanentError
from resources.libvirt import Connection
from tests.hypervisor import home, host

#: Of QEMU's driver, in every libvirtd of the tests.
CONFIGURATION = Path(__file__).with_name("qemu.conf")
_CELL = Path(__file__).with_name("cell.sh")
_PATIENCE_SECONDS = 60.0
_PREFIX = "ai-how-hypervisor-"
_NAMESPACES = ("--pid", "--mount", "--mount-proc", "--net", "--ipc")


@dataclass(frozen=True)
class Hypervisor:
    """A libvirtd with QEMU's driver; guests are emulated, no KVM is needed."""

    home: Path
    #: The first process of its namespaces, as we number it.
    process: int

    @property
    def uri(self) -> str:
        return f"qemu+unix:///system?socket={self.socket}"

    @property
    def simulated_uri(self) -> str:
        """The test driver in the daemon: one state for all processes, while one is connected."""
        return f"test+unix:///default?socket={self.socket}"

    @property
    def socket(self) -> Path:
        return self.home / "run" / "libvirt" / "libvirt-sock"

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command that runs in its network, where its guests can be reached."""
        return ["nsenter", "--target", str(self.process), "--net", "--", *command]

    def kill_daemon(self) -> None:
        """Kill libvirtd as a crash would; it is started again at once, its guests run on."""
        _daemon(self.process).send_signal(signal.SIGKILL)

    def kill_emulator(self, name: str) -> None:
        """Kill the process of a guest."""
        for each in psutil.Process(self.process).children(recursive=True):
            if f"guest={name}," in " ".join(each.cmdline()):
                each.send_signal(signal.SIGKILL)
                return
        raise AssertionError(f"{name} does not run")


@contextmanager
def running() -> Iterator[Hypervisor]:
    """One that answers. Raises NeedsRepair where there can be none."""
    host.prepare()
    with home.claimed(_PREFIX) as claimed, (claimed / "log").open("wb") as log:
        # Nothing of it outlives the process that started it, or the kernel's word for that thread.
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--fork", "--kill-child", *_NAMESPACES,
             "sh", str(_CELL), str(claimed), str(CONFIGURATION)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            yield _until_it_answers(claimed, process)
        finally:
            process.kill()
            process.wait()


def _until_it_answers(where: Path, process: "subprocess.Popen[bytes]") -> Hypervisor:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    problem: Exception | None = None
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
        inner = psutil.Process(process.pid).children()
        if not inner:
            continue
        found = Hypervisor(where, inner[0].pid)
        try:
            with Connection(found.uri):
                return found
        except ExternalError as error:
            problem = error
    said = (where / "log").read_text("utf-8", "replace")[-2000:]
    raise PermanentError("the test", "start libvirtd", said or "it said nothing") from problem


def _daemon(first: int) -> psutil.Process:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for each in psutil.Process(first).children():
            if each.name() == "libvirtd":
                return each
        time.sleep(0.05)
    raise AssertionError("libvirtd does not run")
