"""What another site's page could make a browser send, and what the UI and programs must be able to.

First the guard alone, then in front of the real webserver: a launch that is refused starts nothing.
"""

import asyncio
import json
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from resources.dagster.graphql import LOCATION, REPOSITORY, DagsterGraphQL
from resources.dagster.webserver import CrossSiteGuard
from tests.doubles.dagster_services import DagsterServices

OURS = "127.0.0.1:3000"
MUTATION = "query=mutation%7B__typename%7D"


async def _inside(scope: Scope, receive: Receive, send: Send) -> None:
    """Dagster's place: what comes here was let through."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    else:
        headers = [(b"content-security-policy", b"object-src 'none'")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


def _first_answer(scope: Scope) -> Message:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    asyncio.run(CrossSiteGuard(_inside, ["dagster.example"])(scope, receive, send))
    return sent[0]


def _scope(method: str, target: str, headers: Mapping[str, str]) -> Scope:
    path, _, query = target.partition("?")
    named = {"host": OURS, **headers}
    return {
        "type": "websocket" if method == "WEBSOCKET" else "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }


def _passes(method: str, target: str = "/graphql", **headers: str) -> bool:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = _first_answer(_scope(method, target, named))
    return answer.get("status") == 200 or answer["type"] == "websocket.accept"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "WEBSOCKET"])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "10.0.0.1", "", "@", "[::1"],
)
def test_a_host_that_is_not_this_machine_is_refused(method: str, host: str) -> None:
    assert not _passes(method, "/", host=host)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:3000", "localhost", "LOCALHOST:3000", "[::1]:3000", "dagster.example:8443"],
)
def test_names_of_this_machine_and_those_allowed_pass(host: str) -> None:
    assert _passes("POST", host=host)


@pytest.mark.parametrize(
    "target",
    [
        "/graphql?query=mutation",
        "/graphql/?query=mutation",
        "//graphql?query=mutation",
        "/prefix/graphql?query=mutation",
        "/graphql?%71uery=mutation",
        "/graphql?a=b&query=mutation",
        "/graphql?query",
        "/graphql?query=",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_query_is_taken_by_get(method: str, target: str) -> None:
    assert not _passes(method, target)


@pytest.mark.parametrize("target", ["/", "/graphql", "/assets?query=x", "/runs/1?a=query"])
def test_pages_are_open_to_get(target: str) -> None:
    assert _passes("GET", target, sec_fetch_site="none")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "WEBSOCKET"])
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://evil.example:3000",
        "http://127.0.0.1:8888",
        "http://127.0.0.1",
        "http://localhost:3000",
        "http://127.0.0.1:3000.evil.example",
        "http://127.0.0.1:3000@evil.example",
        "http://[::1",
        "null",
        "",
    ],
)
def test_another_origin_changes_nothing(method: str, origin: str) -> None:
    assert not _passes(method, origin=origin)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "unheard-of"])
@pytest.mark.parametrize("method", ["POST", "WEBSOCKET"])
def test_what_a_browser_calls_another_site_changes_nothing(method: str, site: str) -> None:
    assert not _passes(method, sec_fetch_site=site)


@pytest.mark.parametrize("method", ["POST", "WEBSOCKET"])
def test_our_own_pages_may_change_things(method: str) -> None:
    assert _passes(method, origin=f"http://{OURS}", sec_fetch_site="same-origin")


@pytest.mark.parametrize("method", ["POST", "WEBSOCKET"])
def test_a_program_may_change_things(method: str) -> None:
    assert _passes(method)


def test_an_ipv6_page_may_change_things() -> None:
    assert _passes("POST", host="[::1]:3000", origin="http://[::1]:3000")


def test_the_lifespan_of_the_server_passes() -> None:
    reached = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["type"])

    asyncio.run(CrossSiteGuard(app)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert reached == ["lifespan"]


def test_no_other_page_may_frame_ours_and_our_own_policy_stays() -> None:
    headers = _first_answer(_scope("GET", "/", {}))["headers"]
    policies = [value for name, value in headers if name == b"content-security-policy"]
    assert policies == [b"object-src 'none'", b"frame-ancestors 'self'"]


def test_old_browsers_are_told_not_to_frame_either() -> None:
    headers = dict(_first_answer(_scope("GET", "/", {}))["headers"])
    assert headers[b"x-frame-options"] == b"SAMEORIGIN"


def _launch() -> dict[str, Any]:
    selector = {
        "repositoryLocationName": LOCATION,
        "repositoryName": REPOSITORY,
        "jobName": "both",
        "assetSelection": [{"path": ["quick"]}],
    }
    tags = [{"key": "origin", "value": "another site"}]
    return {
        "query": "mutation($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename } }",
        "variables": {
            "p": {
                "selector": selector,
                "runConfigData": {},
                "executionMetadata": {"tags": tags},
            }
        },
    }


def _as_parameters() -> dict[str, str]:
    launch = _launch()
    return {"query": launch["query"], "variables": json.dumps(launch["variables"])}


@pytest.mark.real
class TestRealWebserver:
    """Each of these launched a run on the bare webserver, or does so from its own pages."""

    def _started(self, graph: DagsterGraphQL) -> int:
        return len(graph.runs(tags={"origin": "another site"}))

    @pytest.mark.parametrize(
        "headers",
        [{}, {"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}],
    )
    def test_no_get_launches_a_run(
        self, services: DagsterServices, graph: DagsterGraphQL, headers: Mapping[str, str]
    ) -> None:
        before = self._started(graph)
        answer = httpx.get(f"{services.url}/graphql", params=_as_parameters(), headers=headers)
        assert (answer.status_code, self._started(graph)) == (403, before)

    def test_no_form_of_another_site_launches_a_run(
        self, services: DagsterServices, graph: DagsterGraphQL
    ) -> None:
        before = self._started(graph)
        answer = httpx.post(
            f"{services.url}/graphql?{urlencode(_as_parameters())}",
            data={"a": "b"},
            headers={"origin": "http://evil.example"},
        )
        assert (answer.status_code, self._started(graph)) == (403, before)

    def test_no_rebound_name_launches_a_run(
        self, services: DagsterServices, graph: DagsterGraphQL
    ) -> None:
        before = self._started(graph)
        evil = f"evil.example:{services.port}"
        answer = httpx.post(
            f"{services.url}/graphql",
            json=_launch(),
            headers={"host": evil, "origin": f"http://{evil}"},
        )
        assert (answer.status_code, self._started(graph)) == (403, before)

    def test_no_page_of_another_site_reports_an_asset(self, services: DagsterServices) -> None:
        answer = httpx.post(
            f"{services.url}/report_asset_materialization/quick",
            headers={"origin": "http://evil.example"},
        )
        assert answer.status_code == 403

    @pytest.mark.parametrize(
        "route",
        ["report_asset_materialization", "report_asset_check", "report_asset_observation"],
    )
    def test_a_get_is_no_report_but_a_page_of_the_ui(
        self, services: DagsterServices, route: str
    ) -> None:
        answer = httpx.get(f"{services.url}/{route}/quick")
        assert answer.headers["content-type"].startswith("text/html")

    @pytest.mark.parametrize(
        ("origin", "status"),
        [("http://evil.example", 403), ("http://{ours}", 101), (None, 101)],
    )
    def test_a_websocket_opens_for_our_own_pages_and_programs_only(
        self, services: DagsterServices, origin: str | None, status: int
    ) -> None:
        assert _upgrade(services.port, origin) == status

    def test_a_program_launches_a_run(
        self, services: DagsterServices, graph: DagsterGraphQL
    ) -> None:
        before = self._started(graph)
        httpx.post(f"{services.url}/graphql", json=_launch()).raise_for_status()
        assert self._started(graph) == before + 1

    def test_the_ui_launches_a_run(self, services: DagsterServices, graph: DagsterGraphQL) -> None:
        before = self._started(graph)
        headers = {"origin": services.url, "sec-fetch-site": "same-origin"}
        httpx.post(f"{services.url}/graphql", json=_launch(), headers=headers).raise_for_status()
        assert self._started(graph) == before + 1

    @pytest.mark.parametrize("path", ["/", "/assets", "/runs"])
    def test_pages_come_with_both_policies(self, services: DagsterServices, path: str) -> None:
        policies = httpx.get(f"{services.url}{path}").headers.get_list("content-security-policy")
        assert ["script-src" in policies[0], policies[1:]] == [True, ["frame-ancestors 'self'"]]


def _upgrade(port: int, origin: str | None) -> int:
    """The status that answers a websocket's handshake."""
    host = f"127.0.0.1:{port}"
    lines = [
        "GET /graphql HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: graphql-ws",
        *([f"Origin: {origin.format(ours=host)}"] if origin else []),
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return int(connection.recv(1024).split()[1])
