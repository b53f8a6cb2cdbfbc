"""Carrying one request to a model server and its answer back, byte for byte and unbuffered.

Which server it goes to is `gateway`'s business.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.types import Receive, Send

from resources.gateway import wire as gateway_wire

# RFC 9110 section 7.6.1, and what is about the connection or each hop's own.
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade".split()
)
_NOT_FORWARDED = _HOP_BY_HOP | {b"host", b"content-length", b"expect"}
# An upstream's leave for other origins would open the gateway to every web page.
_NOT_RETURNED = _HOP_BY_HOP | {b"date", b"server"}
_CROSS_ORIGIN = b"access-control-"
_TIMEOUT = {"connect": 5.0, "read": None, "write": 60.0, "pool": None}
_TAIL_BYTES = 64

_log = logging.getLogger(__name__)
Headers = list[tuple[bytes, bytes]]


class UpstreamGone(Exception):
    """The model server refused the connection or dropped it before it said anything."""


class UpstreamCut(Exception):
    """The model server broke off in the middle of its answer."""


@dataclass(frozen=True)
class Outgoing:
    """A request as it goes to the model server at `url`, the base without a path.

    Behind a `balanced` one a kept connection would lead to a champion of former times for as long
    as requests come, and never to a server that was added: each request gets one of its own.
    """

    url: str
    path: str
    method: str
    headers: Headers
    body: bytes
    balanced: bool = False


class Upstream:
    """The pool of connections to all model servers; one event loop's own."""

    def __init__(self) -> None:
        self._pool = httpx.AsyncHTTPTransport(
            trust_env=False,
            limits=httpx.Limits(
                max_connections=None, max_keepalive_connections=200, keepalive_expiry=30
            ),
        )
        self._fresh = httpx.AsyncHTTPTransport(
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def aclose(self) -> None:
        await self._pool.aclose()
        await self._fresh.aclose()

    async def open(self, outgoing: Outgoing) -> httpx.Response:
        """The answer, its body still to be read. Raises UpstreamGone when there is none.

        A request that met a kept connection which the server was just closing is sent once more.
        """
        request = _request(outgoing)
        connected: list[str] = []

        async def trace(event: str, details: Any) -> None:
            if event == "connection.connect_tcp.started":
                connected.append(event)

        request.extensions["trace"] = trace
        pool = self._fresh if outgoing.balanced else self._pool
        try:
            return await pool.handle_async_request(request)
        except httpx.TransportError as error:
            if connected:
                raise UpstreamGone(str(error) or type(error).__name__) from error
        try:
            return await self._fresh.handle_async_request(_request(outgoing))
        except httpx.TransportError as error:
            raise UpstreamGone(str(error) or type(error).__name__) from error


async def relay(answer: httpx.Response, path: str, extra: Headers, send: Send) -> None:
    """Send the answer on as it comes. Raises UpstreamCut when it breaks off.

    Then the last message is never sent, so that the connection is cut and no client takes what
    it has for the whole.
    """
    await send(
        {
            "type": "http.response.start",
            "status": answer.status_code,
            "headers": [*_kept(answer.headers.raw, _NOT_RETURNED), *extra],
        }
    )
    tail = b""
    try:
        async for chunk in answer.aiter_raw():
            tail = (tail + chunk[-_TAIL_BYTES:])[-_TAIL_BYTES:]
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except httpx.TransportError as error:
        raise UpstreamCut(str(error) or type(error).__name__) from error
    if gateway_wire.is_cut_off(path, answer.headers.get("content-type", ""), tail):
        raise UpstreamCut("the stream ended without its last event")
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def unless_disconnected(receive: Receive, work: Callable[[], Awaitable[None]]) -> bool:
    """Do the work; False when the client went away first, and the work was cancelled."""
    task = asyncio.ensure_future(work())
    watch = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
            return True
        return False
    finally:
        for each in (task, watch):
            each.cancel()
        for each in (task, watch):
            with suppress(asyncio.CancelledError, UpstreamGone, UpstreamCut):
                await each


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _request(outgoing: Outgoing) -> httpx.Request:
    return httpx.Request(
        outgoing.method,
        outgoing.url + outgoing.path,
        headers=_kept(outgoing.headers, _NOT_FORWARDED),
        content=outgoing.body,
        extensions={"timeout": _TIMEOUT},
    )


def _kept(headers: Iterable[tuple[bytes, bytes]], dropped: frozenset[bytes]) -> Headers:
    headers = [(name.lower(), value) for name, value in headers]
    named = {
        each.strip().lower()
        for name, value in headers
        if name == b"connection"
        for each in value.split(b",")
    }
    return [
        (name, value)
        for name, value in headers
        if name not in dropped and name not in named and not name.startswith(_CROSS_ORIGIN)
    ]
