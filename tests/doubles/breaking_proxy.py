"""A proxy on loopback whose connection breaks at a chosen request, before or after it is served.

What is lost with the answer has been done all the same; a client cannot tell the two apart.
"""

import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

HOP_HEADERS = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})


class BreakingProxy:
    """Passes requests on to `port`; counts those that change something, from 1."""

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.changes: list[str] = []
        self.lose_request_from: int | None = None
        self.lose_answer_of: int | None = None
        self._lock = threading.Lock()
        outer = self

        class Handler(_Handler):
            proxy = outer

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def count(self, method: str, path: str) -> int:
        """The number of this change; 0 for what only asks."""
        if method == "GET" or path.endswith("/search"):
            return 0
        with self._lock:
            self.changes.append(path)
            return len(self.changes)

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


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: BreakingProxy

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        number = self.proxy.count(self.command, self.path.partition("?")[0])
        first_lost = self.proxy.lose_request_from
        if first_lost is not None and number >= first_lost:
            self.close_connection = True
            return
        connection = HTTPConnection("127.0.0.1", self.proxy.upstream, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_HEADERS}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if number and number == self.proxy.lose_answer_of:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_HEADERS:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass_on
