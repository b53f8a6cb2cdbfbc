"""The libvirt bindings, loaded on first use, and their event loop in a thread of its own.

They are compiled against libvirt, so they are missing from many machines that need no hypervisor.
"""

import json
import os
import threading
from collections.abc import Mapping
from typing import Any

from resources.errors import NeedsRepair
from resources.libvirt.api.failures import SYSTEM

_loading = threading.Lock()
_loop_of_process: int | None = None
_MISSING = (
    "install libvirt's headers, pkg-config and a C compiler "
    "(Debian: libvirt-dev pkg-config gcc python3-dev), then run `make -B setup`"
)


def bindings() -> Any:
    """The module. Raises NeedsRepair where it is not installed, or its library is not."""
    try:
        import libvirt
    except ImportError as error:
        reason = "the module `libvirt` is not installed"
        if not isinstance(error, ModuleNotFoundError):
            reason = f"the module `libvirt` cannot be loaded: {error}"
        raise NeedsRepair(SYSTEM, "load its bindings", reason, hint=_MISSING) from error
    return libvirt


def agent(domain: Any, command: str, arguments: Mapping[str, object], *, seconds: int) -> Any:
    """What the guest agent of a `virDomain` returns for a command of its protocol.

    Raises the bindings' error where it refuses, or is silent for so long.
    """
    import libvirt_qemu

    asked = json.dumps({"execute": command, "arguments": arguments})
    return json.loads(libvirt_qemu.qemuAgentCommand(domain, asked, seconds, 0))["return"]


def with_events() -> Any:
    """The module with its event loop running, which must be so before a connection is opened.

    Raises NeedsRepair in a fork of a process that had connections: its loop is not in the fork.
    """
    global _loop_of_process
    libvirt = bindings()
    with _loading:
        if _loop_of_process is None:
            # Else each error is written to standard error, too.
            libvirt.registerErrorHandler(_ignore, None)
            libvirt.virEventRegisterDefaultImpl()
            threading.Thread(target=_run, args=(libvirt,), name="libvirt", daemon=True).start()
            _loop_of_process = os.getpid()
        elif _loop_of_process != os.getpid():
            hint = "open the first connection after the fork, or start a new process"
            raise NeedsRepair(SYSTEM, "open a connection", "this is a fork", hint=hint)
    return libvirt


def _ignore(_context: object, _error: object) -> None:
    """Errors are raised, and told where they are caught."""


def _run(libvirt: Any) -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
