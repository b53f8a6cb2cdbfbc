"""An API server on loopback for tests without a cluster: the real client talks to it over HTTP.

Discovery, get, list, server-side apply, merge patch, delete, watch and logs; no defaults, no
controllers: a test writes what these would have written. Failures are asked for.
"""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from tests.doubles.kubernetes_store import Object, Place, Refused, Store
from tests.doubles.loopback import LoopbackServer

TOKEN = "a-token-of-the-double"


class ApiServer(LoopbackServer):
    """Runs in threads of this process while the `with` block lasts."""

    def __init__(self) -> None:
        self.store = Store()
        self.logs: dict[str, str] = {}
        self.token = TOKEN
        self.forbidden: set[str] = set()
        self.requests: list[str] = []
        #: How many further pages of lists are refused as too old.
        self.expire_pages = 0
        self.watches_until = threading.Event()
        #: Pods, by name, whose disruption budget lets none of them go.
        self.kept_by_budget: set[str] = set()
        #: Answers that are given first, one a request; None drops the connection.
        self.failures: list[tuple[Refused, dict[str, str]] | None] = []
        super().__init__(_Handler)

    def kubeconfig(self, directory: Path) -> Path:
        """Written anew into the directory."""
        path = directory / "kubeconfig"
        path.write_text(kubeconfig(self.url), "utf-8")
        path.chmod(0o600)
        return path

    def fail(
        self, code: int, message: str = "out of order", times: int = 1, **headers: str
    ) -> None:
        """Answer the next requests so; `Retry_After` becomes a header."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        self.failures += [(Refused(code, "", message), named)] * times

    def drop(self, times: int = 1) -> None:
        """End the next connections without an answer."""
        self.failures += [None] * times

    def end_watches(self) -> None:
        """As a server does that is told to stop."""
        ended, self.watches_until = self.watches_until, threading.Event()
        ended.set()
        with self.store.changed:
            self.store.changed.notify_all()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end_watches()
        super().__exit__(kind, error, trace)


def kubeconfig(url: str, token: str = TOKEN) -> str:
    """The text of a kubeconfig for a server at `url`."""
    entry = {"cluster": "double", "user": "double"}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "double",
            "contexts": [{"name": "double", "context": entry}],
            "clusters": [{"name": "double", "cluster": {"server": url}}],
            "users": [{"name": "double", "user": {"token": token}}],
        }
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: ApiServer

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._answer()

    do_PATCH = do_DELETE = do_POST = do_GET

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body: Object = json.loads(self.rfile.read(length) or "{}")
        parts = urlsplit(self.path)
        self.query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.owner.requests.append(f"{self.command} {self.path}")
        try:
            if self.owner.failures:
                self._fail_as_asked(self.owner.failures.pop(0))
            else:
                self._authorize(parts.path)
                self._route(unquote(parts.path).strip("/").split("/"))
        except Refused as refused:
            self._reply(refused.code, refused.status)

    def _fail_as_asked(self, failure: tuple[Refused, dict[str, str]] | None) -> None:
        if failure is None:
            self.close_connection = True
            self.connection.close()
            return
        refused, headers = failure
        self._reply(refused.code, refused.status, headers=headers)

    def _authorize(self, path: str) -> None:
        if self.headers.get("Authorization") != f"Bearer {self.owner.token}":
            raise Refused(401, "Unauthorized", "Unauthorized")
        plurals = self.owner.forbidden.intersection(path.split("/"))
        if plurals:
            message = f'{min(plurals)} is forbidden: User "double" cannot do that'
            raise Refused(403, "Forbidden", message)

    def _route(self, path: list[str]) -> None:
        if path == ["apis"]:
            versions = sorted({each.group_version for each in self.owner.store.served} - {"v1"})
            groups = [{"preferredVersion": {"groupVersion": each}} for each in versions]
            self._reply(200, {"groups": groups})
            return
        group_version, rest = ("v1", path[2:]) if path[0] == "api" else (
            "/".join(path[1:3]), path[3:])  # fmt: skip
        if not rest:
            self._discover(group_version)
            return
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        self.owner.store.kind(group_version, rest[0])
        if len(rest) == 1:
            self._many(group_version, rest[0], namespace)
        else:
            self._one((group_version, rest[0], namespace, rest[1]), rest[2:])

    def _discover(self, group_version: str) -> None:
        found = [
            {"name": each.plural, "kind": each.kind, "namespaced": each.namespaced,
             "verbs": ["delete", "get", "list", "patch", "watch"]}
            for each in self.owner.store.served if each.group_version == group_version
        ]  # fmt: skip
        if not found:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        self._reply(200, {"resources": found})

    def _one(self, place: Place, subresource: list[str]) -> None:
        store = self.owner.store
        if subresource == ["log"]:
            self._reply_text(self.owner.logs.get(f"{place[3]}/{self.query.get('container')}"))
        elif subresource == ["eviction"]:
            self._evict(place)
        elif self.command == "GET":
            self._reply(200, store.get(place))
        elif self.command == "DELETE":
            store.delete(place)
            self._reply(200, {"kind": "Status", "status": "Success"})
        elif self.headers["Content-Type"] == "application/apply-patch+yaml":
            self._reply(200, store.apply(
                place, self.body, self.query["fieldManager"],
                force=self.query.get("force") == "True", dry_run="dryRun" in self.query,
            ))  # fmt: skip
        else:
            self._reply(200, store.patch(place, self.body, self.query["fieldManager"]))

    def _evict(self, pod: Place) -> None:
        if pod[3] in self.owner.kept_by_budget:
            message = "Cannot evict pod as it would violate the pod's disruption budget."
            raise Refused(429, "TooManyRequests", message)
        self.owner.store.delete(pod)
        self._reply(201, {"kind": "Status", "status": "Success"})

    def _many(self, group_version: str, plural: str, namespace: str) -> None:
        if self.command == "POST":
            place = (group_version, plural, namespace, self.body["metadata"]["name"])
            made = self.owner.store.create(
                place, self.body, self.query["fieldManager"], dry_run="dryRun" in self.query
            )
            self._reply(201, made)
            return
        if self.query.get("watch"):
            self._watch((group_version, plural, namespace))
            return
        if "continue" in self.query and self.owner.expire_pages:
            self.owner.expire_pages -= 1
            raise Refused(410, "Expired", "The provided continue parameter is too old")
        with self.owner.store.changed:
            revision = self.owner.store.revision
            found = self.owner.store.listed(group_version, plural, namespace)
        matching = [each for each in found if self._matches(each)]
        start, limit = int(self.query.get("continue", 0)), int(self.query.get("limit", 10**9))
        about = {"resourceVersion": str(revision)}
        if start + limit < len(matching):
            about["continue"] = str(start + limit)
        items = [
            {key: value for key, value in each.items() if key not in ("apiVersion", "kind")}
            for each in matching[start : start + limit]
        ]
        self._reply(200, {"metadata": about, "items": items})

    def _matches(self, found: Object) -> bool:
        about = found["metadata"]
        labels = filter(None, self.query.get("labelSelector", "").split(","))
        named = self.query.get("fieldSelector", "").removeprefix("metadata.name=")
        return named in ("", about["name"]) and all(
            (about.get("labels") or {}).get(key) == value
            for key, _, value in (each.partition("=") for each in labels)
        )

    def _watch(self, scope: tuple[str, str, str]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for event in self._events(scope):
                self._chunk(json.dumps(event).encode() + b"\n")
            self._chunk(b"")
        except OSError:
            # The client has seen enough.
            self.close_connection = True

    def _events(self, scope: tuple[str, str, str]) -> Iterator[dict[str, Any]]:
        store, ended = self.owner.store, self.owner.watches_until
        seen = int(self.query["resourceVersion"])
        deadline = time.monotonic() + float(self.query["timeoutSeconds"])
        while not ended.is_set() and time.monotonic() < deadline:
            with store.changed:
                if seen < store.oldest:
                    yield {"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}
                    return
                fresh = [each for each in store.history if each[0] > seen]
                if not fresh:
                    store.changed.wait(0.2)
            for revision, event, place, document in fresh:
                seen = revision
                inside = place[:2] == scope[:2] and scope[2] in ("", place[2])
                if inside and self._matches(document):
                    yield {"type": event, "object": document}

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))

    def _reply_text(self, text: str | None) -> None:
        if text is None:
            raise Refused(400, "BadRequest", "container has not started")
        lines = text.splitlines(keepends=True)[-int(self.query.get("tailLines", 0)) :]
        self._reply(200, "".join(lines).encode())

    def _reply(
        self, code: int, content: Object | bytes, *, headers: dict[str, str] | None = None
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)
