"""Whether KVM runs guests here: a boot sector is run by it, for the device alone proves nothing.

Below some hypervisors the device is there, and its guests hang or crawl.
"""

import os
import shutil
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

from resources.errors import NeedsRepair

DEVICE = Path("/dev/kvm")
_PROGRAM = "qemu-system-x86_64"
_PATIENCE_SECONDS = 15.0
#: What is slower than an emulated processor by more than this is of no use.
_SLOWER = 2.5
#: Waits for five ticks of the clock, then writes to the port at which the emulator ends:
#: xor ax, ax; mov ds, ax; sti; mov bx, [0x46c]; hlt; mov ax, [0x46c]; sub ax, bx; cmp ax, 5;
#: jb -11; mov al, 0x10; out 0xf4, al; hlt.
_SECTOR = bytes.fromhex("31c08ed8fb8b1e6c04f4a16c0429d883f80572f5b010e6f4f4").ljust(510, b"\0")
_SIGNATURE = b"\x55\xaa"
_ENDED_BY_GUEST = 0x10 << 1 | 1


@cache
def works(device: Path = DEVICE, program: str = _PROGRAM) -> bool:
    """Decided once a process. Raises NeedsRepair where it is there and this user may not use it."""
    if not device.exists() or shutil.which(program) is None:
        return False
    if not os.access(device, os.R_OK | os.W_OK):
        raise NeedsRepair(
            "KVM", f"use {device}", "this user may not",
            hint="add the user to the group `kvm`, or set machines.acceleration to kvm or tcg",
        )  # fmt: skip
    with tempfile.NamedTemporaryFile(prefix="ai-how-") as disk:
        disk.write(_SECTOR + _SIGNATURE)
        disk.flush()
        emulated = _seconds(program, "tcg", Path(disk.name))
        real = _seconds(program, "kvm", Path(disk.name))
    return real is not None and (emulated is None or real <= _SLOWER * emulated)


def _seconds(program: str, accelerator: str, disk: Path) -> float | None:
    """How long the guest took until it ended by itself, None where it did not."""
    command = [
        program, "-machine", f"pc,accel={accelerator}", "-m", "16", "-display", "none",
        "-nodefaults", "-no-reboot", "-drive", f"file={disk},format=raw,if=ide,snapshot=on",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
    ]  # fmt: skip
    began = time.monotonic()
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False,
            timeout=_PATIENCE_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    return time.monotonic() - began if ended.returncode == _ENDED_BY_GUEST else None
