"""One connection to a hypervisor: opened on first use and again once it was lost, kept alive.

libvirt's errors become errors of ours here and nowhere else; what they mean is left to `failures`.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

from resources.errors import TransientError
from resources.libvirt.api import bindings
from resources.libvirt.api.failures import SYSTEM, Failure, NotListening, error

_log = logging.getLogger(__name__)
_KEEPALIVE_SECONDS, _KEEPALIVE_MISSED = 5, 3

#: Called with one sentence when the connection is lost.
Lost = Callable[[str], None]


class Connection:
    """To a URI such as qemu:///system; may be used by several threads.

    Everything raises TransientError where the hypervisor does not answer, and what `failures`
    makes of its refusals. After a loss the next use opens it anew.
    """

    def __init__(self, uri: str, *, read_only: bool = False) -> None:
        self.uri = uri
        self._read_only = read_only
        self._lock = threading.Lock()
        self._handle: Any = None
        self._watchers: list[Lost] = []
        self._was_open = False

    def __enter__(self) -> Self:
        self.handle()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def libvirt(self) -> Any:
        """The bindings, for their constants. Raises NeedsRepair where they are missing."""
        return bindings.bindings()

    @property
    def is_test_driver(self) -> bool:
        """Whether it is libvirt's own simulation, which rejects some flags."""
        with self.translated("tell its driver"):
            return bool(self.handle().getType() == "TEST")

    def handle(self) -> Any:
        """The bindings' `virConnect`, opened where it is not. To be used within `translated`."""
        with self._lock:
            if self._handle is None or not self._is_alive():
                self._forget()
                self._handle = self._open()
            return self._handle

    def close(self) -> None:
        """Let go of it; what the test driver holds is gone with its last connection."""
        with self._lock:
            self._forget()

    @contextmanager
    def translated(self, action: str) -> Iterator[None]:
        """Within, libvirt's errors are ours: `libvirt could not ACTION: its reason`."""
        libvirt = self.libvirt
        _log.debug("%s: %s", self.uri, action)
        try:
            yield
        except libvirt.libvirtError as failure:
            given = Failure(
                failure.get_error_code() or 0,
                failure.get_error_domain() or 0,
                failure.get_error_message() or str(failure),
            )
            raise error(given, action) from failure

    @contextmanager
    def watched(self, lost: Lost) -> Iterator[None]:
        """Within, `lost` is called when the connection ends without having been closed."""
        self._watchers.append(lost)
        try:
            yield
        finally:
            self._watchers.remove(lost)

    def _open(self) -> Any:
        libvirt = bindings.with_events()
        action = f"open {self.uri}"
        try:
            with self.translated(action):
                opened = (libvirt.openReadOnly if self._read_only else libvirt.open)(self.uri)
        except NotListening as absent:
            if not self._was_open:
                raise
            # It was there: it starts anew, and its socket comes last.
            raise TransientError(SYSTEM, action, absent.reason, hint=absent.hint) from absent
        self._was_open = True
        # Drivers inside this process have neither, and cannot be lost.
        with suppress(libvirt.libvirtError):
            opened.registerCloseCallback(self._closed, None)
            opened.setKeepAlive(_KEEPALIVE_SECONDS, _KEEPALIVE_MISSED)
        return opened

    def _is_alive(self) -> bool:
        libvirt = self.libvirt
        try:
            return bool(self._handle.isAlive())
        except libvirt.libvirtError:
            return False

    def _forget(self) -> None:
        handle, self._handle = self._handle, None
        if handle is None:
            return
        libvirt = self.libvirt
        with suppress(libvirt.libvirtError):
            handle.unregisterCloseCallback()
        with suppress(libvirt.libvirtError):
            handle.close()

    def _closed(self, _handle: object, reason: int, _context: object) -> None:
        told = {1: "the hypervisor ended it", 2: "it was silent for too long"}
        for watcher in tuple(self._watchers):
            watcher(told.get(reason, "the connection failed"))
