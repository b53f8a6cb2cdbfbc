"""An emulated machine with an IOMMU and GPUs, and a libvirtd in it that gives them to guests.

Neither a GPU nor a KVM is needed. Nothing of it is reached but a port of 127.0.0.1, and it reaches
nothing; it ends with the test run, however that ends.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from resources.errors import PermanentError
from tests.hypervisor import cell, home, host
from tests.hypervisor.vfio import root
from tests.testbed.build import cache, commands

#: A GPU and its audio, which share a group, and a GPU that is alone in its own.
GPU, AUDIO, OTHER_GPU = "0000:00:10.0", "0000:00:10.1", "0000:00:11.0"
#: No device of the machine.
ABSENT = "0000:77:00.0"

PREFIX = "ai-how-vfio-"
_BOOT_SECONDS, _ANSWER_SECONDS = 600.0, 120.0
_SCRIPTS = {"init": "start.sh", "second.sh": "second.sh"}
#: What its console says once libvirtd listens.
_UP = "vfio rig is up"
_KERNEL_WORDS = "console=ttyS0 quiet panic=-1 intel_iommu=on iommu=pt"
_DEVICES = (
    "intel-iommu,intremap=off,caching-mode=on", "VGA,addr=0x10.0,multifunction=on",
    "intel-hda,addr=0x10.1", "bochs-display,addr=0x11.0", "virtio-net-pci,netdev=net",
)  # fmt: skip


@dataclass(frozen=True)
class Rig:
    """A libvirtd in a machine with GPUs; its guests are emulated in an emulated machine."""

    home: Path
    port: int

    @property
    def uri(self) -> str:
        """What `resources.libvirt.Connection` takes."""
        return f"qemu+tcp://127.0.0.1:{self.port}/system"

    def run(self, command: str) -> str:
        """What a line of shell says in the machine, as root. Raises AssertionError if it fails."""
        with socket.socket(socket.AF_UNIX) as shell:
            shell.settimeout(_ANSWER_SECONDS)
            shell.connect(str(self.home / "shell"))
            shell.sendall(f"{command}\n".encode())
            answer = b""
            while not (b"\1" in answer and answer.endswith(b"\n")):
                piece = shell.recv(4096)
                assert piece, f"{command}: the machine has ended"
                answer += piece
        said, _, status = answer.decode("utf-8", "replace").rpartition("\1")
        assert int(status) == 0, f"{command}: exit status {status.strip()}\n{said}"
        return said

    def kill_emulator(self, name: str) -> None:
        """Kill the process of a guest."""
        self.run(f"kill -9 $(cat /run/libvirt/qemu/{name}.pid)")

    def end_daemon(self, signal: str, *, as_after_boot: bool = False) -> None:
        """Send libvirtd a signal (TERM, KILL); it is started again at once, its guests run on.

        `as_after_boot` has it start those with autostart, which it does once a boot.
        """
        forget = "rm -f /run/libvirt/qemu/autostarted; " if as_after_boot else ""
        self.run(f"{forget}kill -{signal} $(cat /run/libvirtd.pid)")


@contextmanager
def running() -> Iterator[Rig]:
    """One that answers. Raises NeedsRepair where there can be none."""
    host.prepare()
    parts = cache.have(root.vfio_root())
    with home.claimed(PREFIX) as claimed, (claimed / "log").open("wb") as log:
        _pack(parts / root.MODULES, claimed)
        # Nothing of it outlives the process that started it, or the kernel's word for that thread.
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *_command(parts, claimed)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "TMPDIR": str(claimed)},
        )  # fmt: skip
        try:
            _until_up(claimed, process)
            yield Rig(claimed, _port(process.pid))
        finally:
            process.kill()
            process.wait()


def _command(parts: Path, claimed: Path) -> list[str]:
    disk = f"file={parts / root.DISK},format=raw,if=virtio,snapshot=on"
    # It has no way out, and its one way in starts at a free port of the loopback.
    net = "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:16509"
    command = [
        "qemu-system-x86_64", "-machine", "q35,accel=tcg", "-cpu", "max", "-smp", "2",
        "-m", "2048", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-kernel", str(parts / root.KERNEL), "-initrd", str(claimed / "initramfs"),
        "-append", _KERNEL_WORDS, "-drive", disk, "-netdev", net,
        "-serial", f"file:{claimed / 'console'}",
        "-serial", f"unix:{claimed / 'shell'},server=on,wait=off",
    ]  # fmt: skip
    return command + [word for each in _DEVICES for word in ("-device", each)]


def _pack(modules: Path, claimed: Path) -> None:
    """Write `initramfs`: all drivers, and the scripts, which change more often than these."""
    content = claimed / "content"
    (content / "bin").mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "busybox", content / "bin" / "busybox")
    shutil.copytree(modules, content / "modules")
    for name, script in _SCRIPTS.items():
        shutil.copy(Path(__file__).with_name(script), content / name)
        (content / name).chmod(0o755)
    shutil.copy(cell.CONFIGURATION, content)
    script = f"find . | busybox cpio -o -H newc | gzip -1 > '{claimed / 'initramfs'}'"
    commands.run(["sh", "-euc", script], directory=content)
    shutil.rmtree(content)


def _until_up(claimed: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _BOOT_SECONDS
    console = claimed / "console"
    said = ""
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
        said = console.read_text("utf-8", "replace") if console.exists() else ""
        if _UP in said:
            return
    said += (claimed / "log").read_text("utf-8", "replace")
    reason = said[-2000:] or "it said nothing"
    raise PermanentError("the test", "start a machine with an IOMMU", reason)


def _port(process: int) -> int:
    for each in psutil.Process(process).net_connections(kind="tcp"):
        if each.status == psutil.CONN_LISTEN:
            return int(each.laddr.port)
    raise AssertionError("no port leads to the machine with an IOMMU")
