"""A completions server on loopback that knows its answers by heart; real HTTP, in a thread."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class AnswerServer:
    """Answers prompts by `answers`, others with `default`; `asked` keeps what it was sent."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: dict[str, str] = {}
        self.default = "no idea"
        self.status = 200
        self.asked: list[Mapping[str, Any]] = []

    def answer(self, body: Mapping[str, Any]) -> str:
        self.asked.append(body)
        messages = body.get("messages") or [{"content": body.get("prompt", "")}]
        return self.answers.get(messages[-1]["content"], self.default)


@contextmanager
def answer_server() -> Iterator[AnswerServer]:
    """A server that ends with the block."""

    class Exchange(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Tests read `asked`."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = server.answer(body)
            if server.status != 200:
                self._send(json.dumps({"error": {"message": "out of order"}}), "application/json")
            elif body.get("stream"):
                self._send(_streamed(text), "text/event-stream")
            else:
                self._send(_whole(text, body), "application/json")

        def _send(self, text: str, kind: str) -> None:
            content = text.encode()
            self.send_response(server.status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Exchange) as http:
        http.daemon_threads = True
        server = AnswerServer(f"http://127.0.0.1:{http.server_port}")
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def _streamed(text: str) -> str:
    finish = {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}
    pieces = [{"choices": [{"index": 0, "text": text}]}, finish]
    events = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces)
    return f"{events}data: [DONE]\n\n"


def _whole(text: str, body: dict[str, Any]) -> str:
    choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": "stop"}
    if "messages" in body:
        choice["message"] = {"role": "assistant", "content": text}
    return json.dumps({"model": body["model"], "choices": [choice]})
