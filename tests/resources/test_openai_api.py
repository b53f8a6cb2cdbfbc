"""Against a real HTTP server on loopback that answers what each test tells it to."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from resources.errors import ExternalError, PermanentError, TransientError
from resources.openai.client import OpenAIClient
from resources.openai.wire import Usage

pytestmark = pytest.mark.real

Reply = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """`replies` are used up in turn, the last one for ever; `asked` are (path, body)."""

    url: str = ""
    replies: list[Reply] = field(default_factory=list)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    connections: set[Any] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def next_reply(self, path: str, body: Any, connection: Any) -> Reply:
        with self.lock:
            self.asked.append((path, body))
            self.connections.add(connection)
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length) or b"null")
            told.next_reply(self.path, body, self.client_address)(self)

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Listener(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that hang up are part of the tests."""

    listener = Listener(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
    thread.start()
    yield told
    told.over.set()
    listener.shutdown()
    thread.join()
    listener.server_close()


@pytest.fixture
def client(server: Server) -> Iterator[OpenAIClient]:
    with OpenAIClient(server.url, timeout_seconds=20, backoff_seconds=0.001) as made:
        yield made


def raw(body: bytes, status: int = 200, **headers: str) -> Reply:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return send


def reply(value: object, status: int = 200, **headers: str) -> Reply:
    return raw(json.dumps(value).encode(), status, **headers)


def text(content: object) -> Reply:
    return reply({"model": "m", "choices": [{"text": content, "finish_reason": "stop"}]})


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def cut_short(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices"')
    handler.close_connection = True


def events(*lines: str) -> Reply:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write("".join(f"{line}\n\n" for line in lines).encode())
        handler.close_connection = True

    return send


def piece(content: str, finish: str | None = None) -> str:
    choice = {"text": content, "finish_reason": finish}
    return "data: " + json.dumps({"choices": [choice]}, ensure_ascii=False)


def test_a_prompt_is_completed_greedily(server: Server, client: OpenAIClient) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    choice = {"text": " Paris", "finish_reason": "length"}
    server.replies = [reply({"model": "served", "choices": [choice], "usage": usage})]
    completion = client.complete("m", "capital?", max_tokens=4)
    assert (completion.text, completion.finish_reason) == (" Paris", "length")
    assert (completion.model, completion.usage) == ("served", Usage(3, 1))
    assert completion.seconds > 0
    asked = {"model": "m", "prompt": "capital?", "max_tokens": 4, "temperature": 0}
    assert server.asked == [("/v1/completions", asked)]


def test_messages_go_to_the_chat_path(server: Server, client: OpenAIClient) -> None:
    server.replies = [reply({"choices": [{"message": {"content": "Hi"}}]})]
    assert client.complete("m", [{"role": "user", "content": "hi"}], max_tokens=4).text == "Hi"
    path, body = server.asked[0]
    assert path == "/v1/chat/completions"
    assert body["messages"] == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_the_address_may_end_in_v1(server: Server, suffix: str) -> None:
    server.replies = [text("x")]
    with OpenAIClient(server.url + suffix) as client:
        client.complete("m", "a", max_tokens=1)
    assert server.asked[0][0] == "/v1/completions"


def test_an_answer_that_is_null_is_an_empty_text(server: Server, client: OpenAIClient) -> None:
    server.replies = [reply({"choices": [{"message": {"content": None}}]})]
    assert client.complete("m", [{"role": "user", "content": "a"}], max_tokens=1).text == ""


def test_half_a_surrogate_pair_becomes_writable(server: Server, client: OpenAIClient) -> None:
    server.replies = [raw(b'{"choices": [{"text": "a\\ud800b"}]}')]
    assert client.complete("m", "a", max_tokens=1).text == "a?b"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_tried_again(server: Server, client: OpenAIClient, status: int) -> None:
    server.replies = [reply({"error": {"message": "busy"}}, status), text("there")]
    assert client.complete("m", "a", max_tokens=1).text == "there"


@pytest.mark.parametrize("failure", [hang_up, cut_short])
def test_a_lost_connection_is_tried_again(
    server: Server, client: OpenAIClient, failure: Reply
) -> None:
    server.replies = [failure, failure, text("there")]
    assert client.complete("m", "a", max_tokens=1).text == "there"


def test_attempts_used_up_are_transient(server: Server, client: OpenAIClient) -> None:
    server.replies = [reply({"error": {"message": "upstream gone"}}, 503)]
    with pytest.raises(TransientError, match=r"could not complete with `m`: 503: upstream gone"):
        client.complete("m", "a", max_tokens=1)
    assert len(server.asked) == 4


def test_retry_after_is_honoured_up_to_a_bound(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("resources.openai.client.time.sleep", waited.append)
    server.replies = [
        reply({}, 503, Retry_After="3"),
        reply({}, 503, Retry_After="9" * 400),
        reply({}, 503, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"),
        text("there"),
    ]
    with OpenAIClient(server.url, backoff_seconds=0.1) as client:
        client.complete("m", "a", max_tokens=1)
    assert waited[:2] == [3, 8]
    assert 0.2 <= waited[2] <= 0.4


@pytest.mark.parametrize("status", [301, 400, 401, 404, 422])
def test_a_refusal_is_permanent_and_asked_once(
    server: Server, client: OpenAIClient, status: int
) -> None:
    server.replies = [reply({"error": {"message": "no such model"}}, status)]
    with pytest.raises(PermanentError, match=f"{status}: no such model"):
        client.complete("m", "a", max_tokens=1)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error": {"message": "a\\n b"}}', "404: a b"),
        (b'{"error": "plain"}', "404: plain"),
        (b'{"detail": "Not Found"}', "404: Not Found"),
        (b'{"error": null}', "404: None"),
        (b"<html>gone</html>", "404: <html>gone</html>"),
        (b"\xff\xfe", "404: \ufffd\ufffd"),
        (b"", "404: no reason given"),
    ],
)
def test_the_reason_is_found_in_every_form_of_error(
    server: Server, client: OpenAIClient, body: bytes, reason: str
) -> None:
    server.replies = [raw(body, 404)]
    with pytest.raises(PermanentError) as caught:
        client.complete("m", "a", max_tokens=1)
    assert caught.value.reason == reason


def test_a_long_reason_is_cut(server: Server, client: OpenAIClient) -> None:
    server.replies = [reply({"error": {"message": "x" * 10_000}}, 400)]
    with pytest.raises(PermanentError) as caught:
        client.complete("m", "a", max_tokens=1)
    assert len(caught.value.reason) == 300


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"[]",
        b"null",
        b"{}",
        b'{"choices": []}',
        b'{"choices": {}}',
        b'{"choices": [7]}',
        b'{"error": {"message": "odd"}}',
        b"[" * 200_000,
        b"\xff",
    ],
)
def test_a_senseless_answer_is_permanent(server: Server, client: OpenAIClient, body: bytes) -> None:
    server.replies = [raw(body)]
    with pytest.raises(PermanentError):
        client.complete("m", "a", max_tokens=1)


def test_a_flood_is_given_up(server: Server, client: OpenAIClient) -> None:
    def flood(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        while not server.over.is_set():
            handler.wfile.write(b"x" * 1_000_000)

    server.replies = [flood]
    with pytest.raises(PermanentError, match="more than 16777216 bytes"):
        client.complete("m", "a", max_tokens=1)


def test_an_answer_that_drips_is_given_up_and_not_asked_for_again(server: Server) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        while not server.over.wait(0.02):
            handler.wfile.write(b" ")

    server.replies = [drip]
    with (
        OpenAIClient(server.url, timeout_seconds=0.2) as client,
        pytest.raises(TransientError, match=r"did not end within 0\.2 s"),
    ):
        client.complete("m", "a", max_tokens=1)
    assert len(server.asked) == 1


def test_silence_is_transient_and_not_asked_again(server: Server) -> None:
    def stay_silent(handler: BaseHTTPRequestHandler) -> None:
        server.over.wait(30)

    server.replies = [stay_silent]
    with (
        OpenAIClient(server.url, timeout_seconds=0.2) as client,
        pytest.raises(TransientError, match=r"no answer within 0\.2 s"),
    ):
        client.complete("m", "a", max_tokens=1)
    assert len(server.asked) == 1


def test_a_refused_connection_is_transient() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_port
    with (
        OpenAIClient(f"http://127.0.0.1:{port}", backoff_seconds=0.001) as client,
        pytest.raises(TransientError, match="the connection failed"),
    ):
        client.models()


@pytest.mark.parametrize("address", ["", "ftp://127.0.0.1", "http://127.0.0.1:x", "no address"])
def test_an_address_that_is_none_is_permanent(address: str) -> None:
    with OpenAIClient(address) as client, pytest.raises(PermanentError) as caught:
        client.models()
    assert caught.value.hint == "check the address of the endpoint"


def test_models_are_listed_in_order(server: Server, client: OpenAIClient) -> None:
    server.replies = [reply({"data": [{"id": "b"}, {"id": "a"}, {"name": "x"}, 7]})]
    assert client.models() == ("b", "a")


def test_a_list_of_models_without_data_is_permanent(server: Server, client: OpenAIClient) -> None:
    server.replies = [reply({"models": []})]
    with pytest.raises(PermanentError, match="no list of models"):
        client.models()


def test_a_stream_gives_the_pieces_without_empty_ones(server: Server, client: OpenAIClient) -> None:
    delta = 'data:{"choices":[{"delta":{"role":"assistant"}}]}'
    usage = 'data: {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}'
    lines = (": ping", delta, piece("a"), piece(""), "event: x", piece("\u2028b"), usage)
    server.replies = [events(*lines, "data: [DONE]", piece("late"))]
    assert list(client.stream("m", "q", max_tokens=4)) == ["a", "\u2028b"]
    assert server.asked[0][1]["stream"] is True


def test_a_finish_reason_ends_a_stream_as_well_as_done(
    server: Server, client: OpenAIClient
) -> None:
    server.replies = [events(piece("a", "stop"))]
    assert list(client.stream("m", "q", max_tokens=4)) == ["a"]


def test_pieces_come_before_the_stream_has_ended(server: Server, client: OpenAIClient) -> None:
    read = threading.Event()

    def two_steps(handler: BaseHTTPRequestHandler) -> None:
        events(piece("a"))(handler)
        handler.wfile.flush()
        read.wait(30)
        handler.wfile.write(f"{piece('b', 'stop')}\n\n".encode())

    server.replies = [two_steps]
    pieces = client.stream("m", "q", max_tokens=4)
    assert next(pieces) == "a"
    read.set()
    assert list(pieces) == ["b"]


def test_a_stream_that_broke_off_is_transient_and_not_begun_again(
    server: Server, client: OpenAIClient
) -> None:
    server.replies = [events(piece("a"))]
    pieces = client.stream("m", "q", max_tokens=4)
    assert next(pieces) == "a"
    with pytest.raises(TransientError, match="broke off"):
        next(pieces)
    assert len(server.asked) == 1


def test_a_stream_that_never_began_is_tried_again(server: Server, client: OpenAIClient) -> None:
    server.replies = [reply({}, 503), events(": nothing"), hang_up, events(piece("a", "stop"))]
    assert list(client.stream("m", "q", max_tokens=4)) == ["a"]


@pytest.mark.parametrize("line", ["data: {", "data: 7", 'data: {"error": {"message": "oom"}}'])
def test_a_senseless_event_ends_the_stream(server: Server, client: OpenAIClient, line: str) -> None:
    server.replies = [events(piece("a"), line)]
    with pytest.raises(PermanentError):
        list(client.stream("m", "q", max_tokens=4))


def test_an_endless_line_is_given_up(
    server: Server, client: OpenAIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.openai.client.MAX_BODY_BYTES", 1000)
    server.replies = [events("data: " + "x" * 100_000)]
    with pytest.raises(ExternalError, match="a line of the stream"):
        list(client.stream("m", "q", max_tokens=4))


def test_a_stream_left_early_frees_its_connection(server: Server) -> None:
    server.replies = [events(piece("a"), piece("b", "stop"))]
    limits = httpx.Limits(max_connections=1)
    with (
        httpx.Client(trust_env=False, limits=limits) as http,
        OpenAIClient(server.url, http=http) as client,
    ):
        pieces = client.stream("m", "q", max_tokens=4)
        next(pieces)
        pieces.close()
        assert list(client.stream("m", "q", max_tokens=4)) == ["a", "b"]


def test_connections_are_kept_and_shared_between_threads(
    server: Server, client: OpenAIClient
) -> None:
    server.replies = [text("x")]
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(client.complete, "m", "a", max_tokens=1) for _ in range(40)]
        assert {future.result().text for future in asked} == {"x"}
    assert len(server.connections) <= 4


def test_a_client_that_was_given_stays_open(server: Server) -> None:
    server.replies = [reply({"data": []})]
    with httpx.Client(trust_env=False) as http:
        OpenAIClient(server.url, http=http).close()
        assert not http.is_closed


def test_proxies_of_the_environment_are_not_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    server.replies = [reply({"data": [{"id": "a"}]})]
    with OpenAIClient(server.url) as client:
        assert client.models() == ("a",)
