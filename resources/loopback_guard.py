"""Cross-site protection of a loopback service: only pages and names of this machine may ask.

A browser lets any web page send simple requests to loopback; what tells them apart is here.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from resources.gateway import wire as gateway_wire

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class LoopbackGuard:
    """Turns away what a page of another site sends: a foreign Host (DNS rebinding) or Origin."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            origin = headers.get(b"origin")
            named = [b"//" + headers.get(b"host", b"")] + ([origin] if origin is not None else [])
            if not all(host_name(each.decode("latin-1")) in self._hosts for each in named):
                await _refusal()(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _refusal() -> JSONResponse:
    message = "this Host or Origin may not ask here"
    return JSONResponse(gateway_wire.error_body(message, "invalid_request_error"), 403)


def host_name(address: str) -> str:
    """The host in `scheme://host:port` or `//host:port`; empty when there is none to be read."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
