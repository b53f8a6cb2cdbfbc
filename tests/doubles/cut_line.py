"""A relay of bytes on loopback that can be cut and kept cut, under TLS as without it."""

import selectors
import socket
import threading
from types import TracebackType
from typing import Self


class CutLine:
    """Relays to `upstream` while the `with` block lasts; its port takes connections throughout."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept)
        self._is_cut = False

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def cut(self) -> None:
        """End all connections, and each new one at once, until `mend`."""
        with self._lock:
            self._is_cut = True
            for each in self._open:
                _end(each)

    def mend(self) -> None:
        self._is_cut = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()
        # Closing alone does not wake an accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(near,), daemon=True).start()

    def _relay(self, near: socket.socket) -> None:
        with near, socket.create_connection(self._upstream, timeout=5) as far:
            with self._lock:
                self._open += [near, far]
            if self._is_cut:
                return
            with selectors.DefaultSelector() as selector:
                selector.register(near, selectors.EVENT_READ, far)
                selector.register(far, selectors.EVENT_READ, near)
                while all(_pass_on(key.fileobj, key.data) for key, _ in selector.select()):
                    pass


def _pass_on(source: object, target: socket.socket) -> bool:
    assert isinstance(source, socket.socket)
    try:
        received = source.recv(65536)
        target.sendall(received)
    except OSError:
        return False
    return bool(received)


def _end(each: socket.socket) -> None:
    try:
        each.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
