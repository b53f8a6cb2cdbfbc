"""The frame of the HTTP doubles: a server on loopback, in threads of this process."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class Exchange(BaseHTTPRequestHandler):
    """One request and its answer; `owner` is the server that it belongs to."""

    protocol_version = "HTTP/1.1"
    owner: "LoopbackServer"

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: tests ask the server what it was asked."""

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(
        self, content: bytes = b"", headers: Mapping[str, str] | None = None, *, status: int = 200
    ) -> None:
        """HEAD is told the length alone, and 204 not even that."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class LoopbackServer:
    """Answers by `exchange` while the `with` block lasts, on a port that was free."""

    def __init__(self, exchange: type[BaseHTTPRequestHandler]) -> None:
        bound = type(exchange.__name__, (exchange,), {"owner": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), bound)
        # A client that keeps its connection open does not keep the test from ending.
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    @property
    def port(self) -> int:
        return self._http.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@contextmanager
def serving(exchange: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The URL of a server that nothing else needs to be known of."""
    with LoopbackServer(exchange) as server:
        yield server.url
