"""The serial console of a running domain as bytes, both ways: what `virsh console` shows.

Who types and who reads is the caller's; what was written before it was opened is in its log.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from resources.errors import NeedsRepair, PermanentError
from resources.libvirt.api.connection import Connection
from resources.libvirt.api.failures import SYSTEM, Unsupported

#: What the bindings say where a call would have to wait.
_LATER = -2
_PIECE_BYTES = 4096
_WAIT_SECONDS = 0.5


class Console:
    """An open console; `ended` is set when the domain goes off or the connection is lost."""

    def __init__(
        self, connection: Connection, stream: Any, received: Callable[[bytes], None]
    ) -> None:
        libvirt = connection.libvirt
        self.ended = threading.Event()
        self._stream = stream
        self._received = received
        self._refused: type[Exception] = libvirt.libvirtError
        self._readable, self._room = libvirt.VIR_STREAM_EVENT_READABLE, threading.Event()
        self._writable = libvirt.VIR_STREAM_EVENT_WRITABLE
        self._over = libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP

    def send(self, typed: bytes) -> None:
        """Type these bytes; waits while the guest takes none. Those after its end are lost."""
        while typed and not self.ended.is_set():
            try:
                sent = self._stream.send(typed)
                if sent == _LATER:
                    self._room.clear()
                    self._watch(self._readable | self._writable)
                    self._room.wait(_WAIT_SECONDS)
                    continue
            except self._refused:
                self.ended.set()
                return
            typed = typed[sent:]

    def begin(self) -> None:
        """Have libvirt's thread hand over what comes."""
        self._stream.eventAddCallback(self._readable | self._over, self._happened, None)

    def close(self) -> None:
        with suppress(self._refused):
            self._stream.eventRemoveCallback()
        with suppress(self._refused):
            self._stream.abort()

    def _watch(self, events: int) -> None:
        self._stream.eventUpdateCallback(events | self._over)

    def _happened(self, _stream: object, events: int, _context: object) -> None:
        try:
            if events & self._readable:
                self._receive()
            if events & self._writable:
                self._room.set()
                self._watch(self._readable)
        except self._refused:
            self._end()
        if events & self._over:
            self._end()

    def _receive(self) -> None:
        piece = self._stream.recv(_PIECE_BYTES)
        if piece == _LATER:
            return
        if piece:
            self._received(piece)
        else:
            self._end()

    def _end(self) -> None:
        """It would be told of its end over and over."""
        with suppress(self._refused):
            self._stream.eventRemoveCallback()
        self.ended.set()


@contextmanager
def opened(
    connection: Connection, name: str, received: Callable[[bytes], None], *, force: bool = False
) -> Iterator[Console]:
    """Within, `received` is called with what the domain writes, in a thread of libvirt's.

    Raises Unsupported on the test driver, NeedsRepair where somebody else is at it, unless `force`
    takes it from them.
    """
    action = f"open the console of {name}"
    if connection.is_test_driver:
        hint = "name a hypervisor with guests: `machines.uri`"
        raise Unsupported(SYSTEM, action, "the test driver runs no guests", hint=hint)
    libvirt = connection.libvirt
    flags = libvirt.VIR_DOMAIN_CONSOLE_FORCE if force else libvirt.VIR_DOMAIN_CONSOLE_SAFE
    with connection.translated(action):
        domain = connection.handle().lookupByName(name)
        stream = connection.handle().newStream(libvirt.VIR_STREAM_NONBLOCK)
    _open(connection, domain, stream, flags, action)
    console = Console(connection, stream, received)
    try:
        with connection.translated(action):
            console.begin()
        yield console
    finally:
        console.close()


def _open(connection: Connection, domain: Any, stream: Any, flags: int, action: str) -> None:
    try:
        with connection.translated(action):
            domain.openConsole(None, stream, flags)
    except PermanentError as error:
        if "Active console session" not in error.reason:
            raise
        reason = "somebody else is at its console"
        raise NeedsRepair(SYSTEM, action, reason, hint="`--force` takes it from them") from error
