"""Dagster's webserver behind a guard: only its own pages and local programs may change anything.

Dagster's UI has no login and runs mutations from any GET. The guard lets a request change things
only when it names this host and, if a browser sent it, comes from the UI's own pages. Of Dagster's
routes only `/graphql` and `/report_asset_*` (POST alone) change anything. Run as
`python -m resources.dagster.webserver --port 3000 -w workspace.yaml`.
"""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from resources.loopback_guard import LOOPBACK, host_name

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: The UI shows notebooks in frames of its own; a frame on another page could steal clicks.
FRAMES = {"X-Frame-Options": "SAMEORIGIN", "Content-Security-Policy": "frame-ancestors 'self'"}


class CrossSiteGuard:
    """ASGI middleware that answers 403 to what another site's page could have sent.

    - The Host must be a loopback name, or one of `hosts`: stops DNS rebinding.
    - `/graphql` takes no query by GET.
    - Any other method, and every websocket, must carry no Origin (a program) or our own.
    - No page of another site may show one of ours in a frame.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._hosts = frozenset({*LOOPBACK, *hosts})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            return await self._app(scope, receive, send)
        reason = self._refusal(scope)
        if reason is None:
            return await self._app(scope, receive, _unframed(send))
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return await PlainTextResponse(f"refused: {reason}\n", 403)(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host_name(f"//{host}") not in self._hosts:
            return "the Host header names another machine"
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if not changes:
            return "GraphQL is asked by POST" if _queries(scope) else None
        origin = headers.get("origin")
        if origin is not None and _network_location(origin) != host:
            return "the request comes from another site"
        if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return "the request comes from another site"
        return None


def _network_location(origin: str) -> str:
    """`host:port`; empty for `null` and for what is no origin."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _unframed(send: Send) -> Send:
    """Adds to the page's own policy: where two are sent, both hold."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in FRAMES.items():
                headers.append(name, value)
        await send(message)

    return sent


def _queries(scope: Scope) -> bool:
    path = scope["path"].rstrip("/")
    return path.endswith("/graphql") and "query" in QueryParams(scope["query_string"])


def main() -> None:
    """Dagster's own command line, with the guard around the application that it serves."""
    import dagster_webserver.cli as command

    create: Callable[..., Starlette] = vars(command)["create_app_from_workspace_process_context"]

    def guarded(*args: Any, **kwargs: Any) -> Starlette:
        app = create(*args, **kwargs)
        app.add_middleware(CrossSiteGuard)
        return app

    vars(command)["create_app_from_workspace_process_context"] = guarded
    command.main()


if __name__ == "__main__":
    main()
