"""A model server of the standard library alone: real HTTP, starts in 0.1 s, fails on demand.

`behaviour.json` in the model's directory: `refuse` (the error it ends with), `mute` (never
answers a completion), `slow` (seconds until it listens), `name` (the name it answers under),
`chunks` and `pause` for streams.
"""

import argparse
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaviour: dict[str, Any]

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/health" else 404, {"status": "ok"})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.behaviour.get("mute"):
            time.sleep(600)
        if asked.get("stream"):
            self._stream()
        else:
            name = self.behaviour.get("name", asked["model"])
            text = self.behaviour.get("text", "x")
            self._answer(200, {"model": name, "choices": [{"text": text}], "asked": asked})

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(self.behaviour.get("chunks", 5)):
            self._chunk(f"data: {json.dumps({'n': number, 'sent': time.time()})}\n\n".encode())
            time.sleep(self.behaviour.get("pause", 0.1))
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    file = options.model / "behaviour.json"
    Answers.behaviour = json.loads(file.read_text()) if file.exists() else {}
    time.sleep(Answers.behaviour.get("slow", 0))
    if "refuse" in Answers.behaviour:
        raise ValueError(Answers.behaviour["refuse"])
    ThreadingHTTPServer(("127.0.0.1", options.port), Answers).serve_forever()


if __name__ == "__main__":
    main()
