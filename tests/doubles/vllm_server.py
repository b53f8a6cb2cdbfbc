#!/usr/bin/python3
"""What the runtimes of ours start as `vllm`, where no GPU is: it answers, and counts as vLLM does.

`vllm serve DIRECTORY --port PORT --served-model-name NAME …`. A token takes 50 ms, and the first
100 ms more for each request that is under way.
"""

import json
import re
import signal
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_TOKEN_SECONDS = 0.05
_FIRST_SECONDS = 0.1
#: Those of vLLM up to 10 s.
_BUCKETS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip


class Figures:
    """What `/metrics` says, with vLLM's names and labels."""

    def __init__(self, model: str) -> None:
        self._labels = f'engine="0",model_name="{model}"'
        self._lock = threading.Lock()
        self._running = 0
        self._first_tokens = [0] * (len(_BUCKETS) + 1)
        self._seconds = 0.0

    def begun(self) -> float:
        """One more is under way; the seconds until its first token."""
        with self._lock:
            self._running += 1
            return _FIRST_SECONDS * self._running

    def first_token(self, seconds: float) -> None:
        with self._lock:
            self._first_tokens[bisect_left(_BUCKETS, seconds)] += 1
            self._seconds += seconds

    def ended(self) -> None:
        with self._lock:
            self._running -= 1

    def text(self) -> str:
        with self._lock:
            running, counts, seconds = self._running, list(self._first_tokens), self._seconds
        name = "vllm:time_to_first_token_seconds"
        bounds = [*(f"{each:g}" for each in _BUCKETS), "+Inf"]
        lines = [
            "# TYPE vllm:num_requests_running gauge",
            f"vllm:num_requests_running{{{self._labels}}} {float(running)}",
            "# TYPE vllm:num_requests_waiting gauge",
            f"vllm:num_requests_waiting{{{self._labels}}} 0.0",
            f"# TYPE {name} histogram",
        ]
        for number, bound in enumerate(bounds):
            total = sum(counts[: number + 1])
            lines.append(f'{name}_bucket{{{self._labels},le="{bound}"}} {float(total)}')
        lines.append(f"{name}_count{{{self._labels}}} {float(sum(counts))}")
        lines.append(f"{name}_sum{{{self._labels}}} {seconds}")
        return "\n".join(lines) + "\n"


class Server(ThreadingHTTPServer):
    """One model under one name."""

    def __init__(self, port: int, model: str) -> None:
        super().__init__(("", port), Exchange)
        self.model = model
        self.figures = Figures(model)


class Exchange(BaseHTTPRequestHandler):
    """The paths that the platform and a Prometheus ask."""

    server: Server

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer("")
        elif self.path == "/metrics":
            self._answer(self.server.figures.text(), "text/plain; version=0.0.4")
        elif self.path == "/v1/models":
            model = {"id": self.server.model, "object": "model"}
            self._answer(json.dumps({"object": "list", "data": [model]}))
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body.get("model") != self.server.model:
            self.send_error(404)
            return
        tokens, figures = int(body.get("max_tokens", 16)), self.server.figures
        first = figures.begun()
        try:
            time.sleep(first)
            figures.first_token(first)
            time.sleep(_TOKEN_SECONDS * (tokens - 1))
        finally:
            figures.ended()
        choice = {"index": 0, "text": " word" * tokens, "finish_reason": "length"}
        usage = {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1}
        answer = {"object": "text_completion", "model": self.server.model, "usage": usage}
        self._answer(json.dumps({**answer, "choices": [choice]}))

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: a probe a second would fill the log."""

    def _answer(self, text: str, kind: str = "application/json") -> None:
        content = text.encode("utf-8")
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main(arguments: Sequence[str]) -> None:
    words = " ".join(arguments)
    port, model = (
        found[1] if (found := re.search(rf"--{name} (\S+)", words)) else default
        for name, default in (("port", "8000"), ("served-model-name", "model"))
    )
    # As a container's first process it would sleep through this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Server(int(port), model).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
