"""One OpenAI-compatible address for all endpoints: `model` in a request's body chooses.

`python -m resources.gateway.app --routes FILE` runs it. Bytes are carried by `upstream`, the wire's
form is `gateway_wire`'s business, the table `gateway_routes`'.
"""

import argparse
import logging
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from resources.gateway import upstream
from resources.gateway import wire as gateway_wire
from resources.gateway.metrics import Metrics
from resources.gateway.routes import Entry, WatchedTable
from resources.gateway.upstream import Outgoing, Upstream, UpstreamCut, UpstreamGone
from resources.gateway.wire import BadRequest
from resources.loopback_guard import LOOPBACK, LoopbackGuard

MAX_BODY_BYTES = 32 * 2**20
_CHECKPOINT_HEADER = b"x-ai-how-checkpoint"
# What OpenAI clients ask a model; model servers have other paths that change what they serve.
_FORWARDED = (
    "chat/completions",
    "completions",
    "embeddings",
    "messages",
    "rerank",
    "responses",
    "score",
)

_log = logging.getLogger(__name__)


class Gateway:
    """The application's state and its answers; one per process."""

    def __init__(self, routes: Path, *, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._table = WatchedTable(routes)
        self._max_body_bytes = max_body_bytes
        self._metrics = Metrics()
        self._upstream: Upstream | None = None

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._upstream = Upstream()
        self._table.current()
        yield
        await self._upstream.aclose()

    async def health(self, request: Request) -> Response:
        table = self._table.current()
        problem = {"routes_problem": self._table.problem} if self._table.problem else {}
        return JSONResponse({"status": "ok", "endpoints": len(table)} | problem)

    async def metrics(self, request: Request) -> Response:
        return PlainTextResponse(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def models(self, request: Request) -> Response:
        found = [_model(name, entry) for name, entry in sorted(self._table.current().items())]
        return JSONResponse({"object": "list", "data": found})

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        entry = self._table.current().get(name)
        return _unknown(name) if entry is None else JSONResponse(_model(name, entry))

    async def forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one request to the model server behind its endpoint."""
        began = time.monotonic()
        self._metrics.in_flight += 1
        endpoint, status = "", "gone"
        try:
            endpoint, status = await self._forward(scope, receive, send, began)
        except ClientDisconnect:
            _log.debug("the client left before its request was whole")
        finally:
            self._metrics.in_flight -= 1
            self._metrics.count(endpoint, status, time.monotonic() - began)

    async def _forward(
        self, scope: Scope, receive: Receive, send: Send, began: float
    ) -> tuple[str, str]:
        """The endpoint and how it ended: the HTTP status, `cut` or `gone`."""
        request = Request(scope, receive)
        try:
            body = await self._body(request)
            asked = gateway_wire.read_request(body)
            entry = self._table.current().get(asked.model)
            if entry is None:
                raise _Refusal(_unknown(asked.model))
        except BadRequest as error:
            await _error(400, str(error), param=error.param)(scope, receive, send)
            return "", "400"
        except _Refusal as refusal:
            await refusal.response(scope, receive, send)
            return "", str(refusal.response.status_code)
        exchange = _Exchange(self._metrics, asked.model, entry, began)
        outgoing = Outgoing(
            url=entry.route.url,
            path=_path(scope),
            method="POST",
            headers=scope["headers"],
            body=asked.addressed_to(entry.route.model_name),
            balanced=entry.balanced,
        )
        return asked.model, await exchange.run(self._pool(), outgoing, receive, send)

    async def _body(self, request: Request) -> bytes:
        too_large = _error(413, f"the body is larger than {self._max_body_bytes} bytes")
        declared = request.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._max_body_bytes:
            raise _Refusal(too_large)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._max_body_bytes:
                raise _Refusal(too_large)
        return bytes(body)

    def _pool(self) -> Upstream:
        if self._upstream is None:
            self._upstream = Upstream()
        return self._upstream


class _Refusal(Exception):
    """The request is answered here and goes no further."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class _Exchange:
    """One request under way to one model server."""

    def __init__(self, metrics: Metrics, endpoint: str, entry: Entry, began: float) -> None:
        self._metrics = metrics
        self._endpoint = endpoint
        self._checkpoint = entry.route.key
        self._began = began
        self._status = "gone"

    async def run(self, pool: Upstream, outgoing: Outgoing, receive: Receive, send: Send) -> str:
        try:
            await upstream.unless_disconnected(receive, lambda: self._carry(pool, outgoing, send))
        except UpstreamGone as error:
            _log.warning("%s is gone behind %s: %s", outgoing.url, self._endpoint, error)
            response = _error(503, f"the model server of `{self._endpoint}` is not up; try again")
            response.headers["retry-after"] = "1"
            response.headers[_CHECKPOINT_HEADER.decode()] = self._checkpoint
            await response({"type": "http"}, receive, send)
            return "503"
        except UpstreamCut as error:
            _log.warning("%s broke off behind %s: %s", outgoing.url, self._endpoint, error)
            return "cut"
        return self._status

    async def _carry(self, pool: Upstream, outgoing: Outgoing, send: Send) -> None:
        answer = await pool.open(outgoing)
        try:
            self._metrics.first_byte(self._endpoint, time.monotonic() - self._began)
            extra = [(_CHECKPOINT_HEADER, self._checkpoint.encode())]
            await upstream.relay(answer, outgoing.path.partition("?")[0], extra, send)
            self._status = str(answer.status_code)
        finally:
            await answer.aclose()


def application(
    routes: Path, *, hosts: Iterable[str] = LOOPBACK, max_body_bytes: int = MAX_BODY_BYTES
) -> Starlette:
    """The gateway over the routing table at `routes`, for requests that name one of `hosts`."""
    gateway = Gateway(routes, max_body_bytes=max_body_bytes)
    return Starlette(
        routes=[
            Route("/health", gateway.health),
            Route("/metrics", gateway.metrics),
            Route("/v1/models", gateway.models),
            Route("/v1/models/{name:path}", gateway.model),
            *(Route(f"/v1/{path}", _Endpoint(gateway), methods=["POST"]) for path in _FORWARDED),
        ],
        middleware=[Middleware(LoopbackGuard, hosts=tuple(hosts))],
        exception_handlers={HTTPException: _not_found},
        lifespan=gateway.lifespan,
    )


class _Endpoint:
    """An ASGI application, which Starlette calls without a wrapper; a method would get one."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gateway.forward(scope, receive, send)


async def _not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _error(status, f"{request.method} {request.url.path} is not known here")


def _error(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> JSONResponse:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse(gateway_wire.error_body(message, kind, param=param, code=code), status)


def _unknown(name: str) -> JSONResponse:
    return _error(
        404, f"the model `{name[:200]}` does not exist", param="model", code="model_not_found"
    )


def _model(name: str, entry: Entry) -> dict[str, object]:
    return {
        "id": name,
        "object": "model",
        "created": entry.since,
        "owned_by": "ai-how",
        "checkpoint": entry.route.key,
        "digest": entry.route.digest,
    }


def _path(scope: Scope) -> str:
    query = scope["query_string"].decode("ascii", "replace")
    path: str = scope["path"]
    return f"{path}?{query}" if query else path


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the gateway until SIGTERM, then let requests under way end for up to 15 s."""
    import uvicorn

    parser = argparse.ArgumentParser(prog="python -m resources.gateway.app", description=__doc__)
    parser.add_argument("--routes", type=Path, required=True, help="the routing table's file")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--allow-host", action="append", default=[], help="one more Host name")
    parser.add_argument("--max-body-bytes", type=int, default=MAX_BODY_BYTES)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    uvicorn.run(
        application(
            options.routes,
            hosts=(*LOOPBACK, *options.allow_host),
            max_body_bytes=options.max_body_bytes,
        ),
        host=options.host,
        port=options.port,
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_graceful_shutdown=15,
    )


if __name__ == "__main__":
    main()
