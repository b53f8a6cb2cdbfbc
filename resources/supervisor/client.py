"""supervisord's XML-RPC interface over its unix socket, with the standard library alone.

What to ask it, and when, is `supervisor`'s business.
"""

import hashlib
import http.client
import os
import socket
import xmlrpc.client
from pathlib import Path
from typing import Any

from resources.errors import PermanentError, TransientError

# sun_path holds 108 bytes; supervisord binds `<socket>.<pid>` first.
_SOCKET_BYTES = 96
# supervisor.xmlrpc.Faults; importing it costs 0.1 s of CPU.
SHUTDOWN_STATE = 6
BAD_NAME = 10
NO_FILE = 20
NOT_EXECUTABLE = 21
SPAWN_ERROR = 50
ALREADY_STARTED = 60
NOT_RUNNING = 70
ALREADY_ADDED = 90
STILL_RUNNING = 91


def socket_path(home: Path) -> Path:
    """Where the daemon of `home` listens: below it, or in a runtime directory if that is deep."""
    near = home / "run" / "supervisor.sock"
    if len(os.fsencode(near)) <= _SOCKET_BYTES:
        return near
    name = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    # Python's own answer would write a file there to try it, and this is asked while graphs load.
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("TMPDIR") or "/tmp")
    return base / f"ai-how-{name}" / "supervisor.sock"


def make_private(directory: Path) -> None:
    """Have the directory, readable by this user alone; PermanentError if it is another's."""
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if found.st_uid != os.getuid() or directory.is_symlink():
        raise PermanentError(
            "the platform",
            f"use {directory}",
            "it belongs to somebody else",
            hint="choose a home with a shorter path",
        )


class Refused(PermanentError):
    """supervisord answered with a fault; `code` is its number."""

    def __init__(self, action: str, fault: xmlrpc.client.Fault) -> None:
        super().__init__("supervisord", action, fault.faultString)
        self.code = fault.faultCode


class ShuttingDown(TransientError):
    """The daemon is ending its programs and takes no more orders."""

    def __init__(self, action: str) -> None:
        super().__init__("supervisord", action, "it is shutting down")


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path, timeout_seconds: float) -> None:
        super().__init__()
        self._path = path
        self._timeout_seconds = timeout_seconds

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _Connection(self._path, self._timeout_seconds)
        self._connection = host, connection
        return connection


def call(path: Path, method: str, *arguments: object, timeout_seconds: float = 10) -> Any:
    """The answer of `supervisor.<method>` from the daemon that listens at `path`.

    Raises TransientError when no daemon answers or it is shutting down, Refused for other faults.
    """
    transport = _Transport(path, timeout_seconds)
    try:
        proxy: Any = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
        return getattr(proxy.supervisor, method)(*arguments)
    except xmlrpc.client.Fault as fault:
        if fault.faultCode == SHUTDOWN_STATE:
            raise ShuttingDown(method) from fault
        raise Refused(method, fault) from fault
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        raise TransientError(
            "supervisord",
            f"answer at {path}",
            str(error) or type(error).__name__,
            hint="start the platform with `ai-how up`",
        ) from error
    finally:
        transport.close()
