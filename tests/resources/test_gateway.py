"""The gateway as a real process between a real client and real servers on loopback."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from resources.gateway import routes as gateway_routes
from resources.ports import free_ports
from resources.serving import Route
from tests.doubles.loopback import serving
from tests.resources.raw_server import raw_server, read_request
from tests.resources.tiny_server import Answers

pytestmark = pytest.mark.real
Eventually = Callable[[Callable[[], object]], None]

REPOSITORY = Path(__file__).parents[2]
ASK = {"model": "m", "prompt": "x"}
STREAM = ASK | {"stream": True}


@contextmanager
def _gateway(routes: Path, *extra: str) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "resources.gateway.app", "--routes", str(routes)]
    process = subprocess.Popen([*command, "--port", str(port), *extra], cwd=REPOSITORY)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            _await_health(client)
            yield client, process
    finally:
        process.kill()
        process.wait()


def _await_health(client: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            client.get("/health")
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the gateway never came up"
            time.sleep(0.05)
        else:
            return


def _model_server(**behaviour: object) -> AbstractContextManager[str]:
    quiet = {"behaviour": behaviour, "log_message": lambda *_: None}
    return serving(type("Handler", (Answers,), quiet))


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway") / "routes.json"


@pytest.fixture(scope="module")
def client(routes: Path) -> Iterator[httpx.Client]:
    with _gateway(routes, "--max-body-bytes", "10000") as (client, _):
        yield client


@pytest.fixture
def put(routes: Path) -> Iterator[Callable[..., None]]:
    def put(url: str, endpoint: str = "m", key: str = "m.run.1") -> None:
        gateway_routes.put(routes, endpoint, Route(key, "digest", url, "upstream-name"))

    yield put
    for endpoint in gateway_routes.read(routes):
        gateway_routes.put(routes, endpoint, None)


@pytest.fixture
def served(put: Callable[..., None]) -> Iterator[str]:
    with _model_server() as url:
        put(url)
        yield url


def test_the_endpoints_are_listed(client: httpx.Client, served: str) -> None:
    [model] = client.get("/v1/models").json()["data"]
    assert model.pop("created") > 0
    assert model == {
        "id": "m",
        "object": "model",
        "owned_by": "ai-how",
        "checkpoint": "m.run.1",
        "digest": "digest",
    }


def test_one_endpoint_is_described(client: httpx.Client, served: str) -> None:
    assert client.get("/v1/models/m").json()["id"] == "m"


def test_the_upstream_is_asked_under_its_own_name(client: httpx.Client, served: str) -> None:
    asked = client.post("/v1/completions", json=ASK).json()["asked"]
    assert asked == ASK | {"model": "upstream-name"}


def test_the_checkpoint_is_named_in_the_answer(client: httpx.Client, served: str) -> None:
    answer = client.post("/v1/completions", json=ASK)
    assert answer.headers["x-ai-how-checkpoint"] == "m.run.1"


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b'{"model":"n"}', 404, {"param": "model", "code": "model_not_found"}),
        (b"{", 400, {"param": None, "code": None}),
        (b"{}", 400, {"param": "model", "code": None}),
        (b'{"model":"m","adapters":"/etc"}', 400, {"param": "adapters", "code": None}),
        (b'{"model":"' + b"m" * 20_000 + b'"}', 413, {"param": None, "code": None}),
    ],
)
def test_what_cannot_be_carried_is_refused_in_openai_form(
    client: httpx.Client, served: str, body: bytes, status: int, error: dict[str, object]
) -> None:
    answer = client.post("/v1/chat/completions", content=body)
    found = answer.json()["error"]
    assert found.pop("message")
    assert (answer.status_code, found) == (status, {"type": "invalid_request_error"} | error)


def test_a_body_that_grows_too_large_is_refused(client: httpx.Client, served: str) -> None:
    parts = (b"x" * 1000 for _ in range(30))
    assert client.post("/v1/completions", content=parts).status_code == 413


@pytest.mark.parametrize("path", ["/v1/load_lora_adapter", "/v1/../pause", "/v1/a%2e%2e/b", "/x"])
def test_paths_that_change_a_server_are_not_carried(
    client: httpx.Client, served: str, path: str
) -> None:
    answer = client.post(path, json=ASK)
    assert (answer.status_code, "message" in answer.json()["error"]) == (404, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8000"},
        {"Host": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_another_site_may_not_ask(
    client: httpx.Client, served: str, headers: dict[str, str]
) -> None:
    assert client.post("/v1/completions", json=ASK, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers", [{"Host": "localhost:8000"}, {"Host": "[::1]"}, {"Origin": "http://localhost:3000"}]
)
def test_names_of_this_machine_may_ask(
    client: httpx.Client, served: str, headers: dict[str, str]
) -> None:
    assert client.post("/v1/completions", json=ASK, headers=headers).status_code == 200


def test_a_stream_is_passed_on_as_it_comes(client: httpx.Client, put: Callable[..., None]) -> None:
    with _model_server(chunks=4, pause=0.4) as url:
        put(url)
        arrivals = []
        with client.stream("POST", "/v1/completions", json=STREAM) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    arrivals.append((time.time(), json.loads(line[6:])["sent"]))
    assert all(arrived < sent_next for (arrived, _), (_, sent_next) in itertools.pairwise(arrivals))


def test_a_stream_keeps_its_bytes(client: httpx.Client, put: Callable[..., None]) -> None:
    content = b": keepalive\n\ndata: {\xc3\xbc}\r\n\r\ndata: [DONE]\n\n"

    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        head = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        connection.sendall(head + content)

    with raw_server(behave) as url:
        put(url)
        assert client.post("/v1/completions", json=STREAM).content == content


def test_two_endpoints_reach_their_own_servers(
    client: httpx.Client, put: Callable[..., None]
) -> None:
    with _model_server(text="one") as one, _model_server(text="two") as two:
        put(one, "m")
        put(two, "n")
        texts = [
            client.post("/v1/completions", json=ASK | {"model": name}).json()["choices"][0]["text"]
            for name in ("m", "n")
        ]
    assert texts == ["one", "two"]


def test_a_server_that_is_not_there_may_be_asked_again(
    client: httpx.Client, put: Callable[..., None]
) -> None:
    put(f"http://127.0.0.1:{free_ports(1)[0]}")
    answer = client.post("/v1/completions", json=ASK)
    assert (
        answer.status_code,
        answer.headers["retry-after"],
        answer.headers["x-ai-how-checkpoint"],
        answer.json()["error"]["type"],
    ) == (503, "1", "m.run.1", "server_error")


def test_a_server_that_drops_the_request_may_be_asked_again(
    client: httpx.Client, put: Callable[..., None]
) -> None:
    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)

    with raw_server(behave) as url:
        put(url)
        assert client.post("/v1/completions", json=ASK).status_code == 503


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", id="chunked"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", id="length"),
        pytest.param(
            b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {}\n\n", id="closed"
        ),
    ],
)
def test_an_answer_that_breaks_off_is_no_clean_end(
    client: httpx.Client, put: Callable[..., None], answer: bytes
) -> None:
    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(answer)

    with raw_server(behave) as url:
        put(url)
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/v1/completions", json=STREAM)


def test_a_client_that_leaves_ends_the_request_upstream(
    client: httpx.Client, put: Callable[..., None]
) -> None:
    closed = threading.Event()

    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        if connection.recv(1) == b"":
            closed.set()

    with raw_server(behave) as url:
        put(url)
        with client.stream("POST", "/v1/completions", json=STREAM) as answer:
            next(answer.iter_raw())
        assert closed.wait(30)


def test_a_client_that_leaves_before_the_answer_ends_the_request_upstream(
    client: httpx.Client, put: Callable[..., None]
) -> None:
    closed = threading.Event()

    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        if connection.recv(1) == b"":
            closed.set()

    with raw_server(behave) as url:
        put(url)
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/completions", json=ASK, timeout=0.3)
        assert closed.wait(30)


def test_a_connection_that_went_stale_is_no_failure(
    client: httpx.Client, put: Callable[..., None]
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

    def behave(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(answer)
        read_request(connection)

    with raw_server(behave) as url:
        put(url)
        statuses = [client.post("/v1/completions", json=ASK).status_code for _ in range(3)]
    assert statuses == [200, 200, 200]


@pytest.mark.parametrize(("balanced", "connections"), [(False, 1), (True, 3)])
def test_only_a_server_that_is_always_the_same_keeps_its_connection(
    client: httpx.Client, routes: Path, put: Callable[..., None], balanced: bool, connections: int
) -> None:
    seen: set[tuple[str, int]] = set()

    def note(exchange: Answers, *_: object) -> None:
        seen.add(exchange.client_address)

    with serving(type("Handler", (Answers,), {"behaviour": {}, "log_message": note})) as url:
        put(url)
        gateway_routes.put(routes, "m", Route("k", "d", url, "m"), balanced=balanced)
        for _ in range(3):
            assert client.post("/v1/completions", json=ASK).status_code == 200
    assert len(seen) == connections


def test_headers_of_one_hop_are_not_carried(client: httpx.Client, put: Callable[..., None]) -> None:
    seen: list[bytes] = []

    def behave(connection: socket.socket, number: int) -> None:
        seen.append(read_request(connection).lower())
        connection.sendall(
            b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nAccess-Control-Allow-Origin: *\r\n"
            b"Keep-Alive: timeout=5\r\nX-Kept: yes\r\n\r\n{}"
        )

    headers = {"Connection": "close, X-Secret", "X-Secret": "1", "X-Mine": "yes", "TE": "gzip"}
    with raw_server(behave) as url:
        put(url)
        answer = client.post("/v1/completions", json=ASK, headers=headers)
    assert (b"x-mine: yes" in seen[0], b"x-secret" in seen[0], b"\r\nte:" in seen[0]) == (
        True,
        False,
        False,
    )
    assert answer.headers.keys() & {"access-control-allow-origin", "keep-alive", "x-kept"} == {
        "x-kept"
    }


def test_requests_are_counted_by_endpoint_and_status(client: httpx.Client, served: str) -> None:
    client.post("/v1/completions", json=ASK)
    client.post("/v1/completions", json=ASK | {"model": 'x"y'})
    text = client.get("/metrics").text
    assert 'requests_total{endpoint="m",status="200"}' in text
    assert 'requests_total{endpoint="",status="404"}' in text


def test_a_thousand_requests_live_through_route_switches(
    client: httpx.Client, put: Callable[..., None]
) -> None:
    with _model_server(text="one") as one, _model_server(text="two") as two:
        put(one, key="one")
        done = threading.Event()

        def switch() -> None:
            for number in range(10_000):
                if done.is_set():
                    return
                put(*((two, "m", "two") if number % 2 else (one, "m", "one")))
                time.sleep(0.02)

        def ask(_: int) -> tuple[int, bool]:
            answer = client.post("/v1/completions", json=ASK)
            key = answer.headers["x-ai-how-checkpoint"]
            return answer.status_code, key == answer.json()["choices"][0]["text"]

        with ThreadPoolExecutor(9) as pool:
            switching = pool.submit(switch)
            outcomes = set(pool.map(ask, range(1000)))
            done.set()
            switching.result()
    assert outcomes == {(200, True)}


def test_routes_survive_a_killed_gateway(tmp_path: Path) -> None:
    path = tmp_path / "routes.json"
    with _model_server() as url:
        gateway_routes.put(path, "m", Route("k", "d", url, "m"))
        with _gateway(path) as (_, process):
            os.kill(process.pid, signal.SIGKILL)
        with _gateway(path) as (client, _):
            assert client.post("/v1/completions", json=ASK).status_code == 200


def test_a_stream_under_way_ends_before_the_gateway_does(
    tmp_path: Path, eventually: Eventually
) -> None:
    path = tmp_path / "routes.json"
    with _model_server(chunks=5, pause=0.2) as url, _gateway(path) as (client, process):
        gateway_routes.put(path, "m", Route("k", "d", url, "m"))
        with client.stream("POST", "/v1/completions", json=STREAM) as answer:
            parts = answer.iter_raw()
            first = next(parts)
            process.terminate()
            rest = b"".join(parts)
        process.wait()
    assert (first + rest).endswith(b"data: [DONE]\n\n")


def test_a_damaged_table_keeps_the_endpoints_up(tmp_path: Path) -> None:
    path = tmp_path / "routes.json"
    with _model_server() as url, _gateway(path) as (client, _):
        gateway_routes.put(path, "m", Route("k", "d", url, "m"))
        client.get("/v1/models")
        path.write_text("{")
        statuses = client.post("/v1/completions", json=ASK).status_code
        assert (statuses, "routes_problem" in client.get("/health").json()) == (200, True)
