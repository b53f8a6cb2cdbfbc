"""A proxy on loopback whose connection breaks at a chosen request, before or after it is served.

What is lost with the answer has been done all the same; a client cannot tell the two apart.
"""

import threading
from http.client import HTTPConnection

from tests.doubles.loopback import Exchange, LoopbackServer

HOP_HEADERS = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})


class BreakingProxy(LoopbackServer):
    """Passes requests on to the port `upstream`; counts those that change something, from 1."""

    def __init__(self, upstream: int) -> None:
        super().__init__(_Passage)
        self.upstream = upstream
        self.changes: list[str] = []
        self.lose_request_from: int | None = None
        self.lose_answer_of: int | None = None
        self._lock = threading.Lock()

    def count(self, method: str, path: str) -> int:
        """The number of this change; 0 for what only asks."""
        if method == "GET" or path.endswith("/search"):
            return 0
        with self._lock:
            self.changes.append(path)
            return len(self.changes)


class _Passage(Exchange):
    owner: BreakingProxy

    def _pass_on(self) -> None:
        body = self.body()
        number = self.owner.count(self.command, self.path.partition("?")[0])
        first_lost = self.owner.lose_request_from
        if first_lost is not None and number >= first_lost:
            self.close_connection = True
            return
        connection = HTTPConnection("127.0.0.1", self.owner.upstream, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_HEADERS}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if number and number == self.owner.lose_answer_of:
            self.close_connection = True
            return
        kept = {k: v for k, v in answer.getheaders() if k.lower() not in HOP_HEADERS}
        self.answer(content, kept, status=answer.status)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass_on
