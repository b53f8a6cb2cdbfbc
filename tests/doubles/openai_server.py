"""A completions server on loopback that knows its answers by heart; real HTTP, in a thread."""

import json
from collections.abc import Mapping
from typing import Any

from tests.doubles.loopback import Exchange, LoopbackServer


class AnswerServer(LoopbackServer):
    """Answers prompts by `answers`, others with `default`; `asked` keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(_Completion)
        self.answers: dict[str, str] = {}
        self.default = "no idea"
        self.status = 200
        self.asked: list[Mapping[str, Any]] = []

    def text_for(self, body: Mapping[str, Any]) -> str:
        self.asked.append(body)
        messages = body.get("messages") or [{"content": body.get("prompt", "")}]
        return self.answers.get(messages[-1]["content"], self.default)


class _Completion(Exchange):
    owner: AnswerServer

    def do_POST(self) -> None:
        body = json.loads(self.body())
        text, status = self.owner.text_for(body), self.owner.status
        if status != 200:
            text, kind = json.dumps({"error": {"message": "out of order"}}), "application/json"
        elif body.get("stream"):
            text, kind = _streamed(text), "text/event-stream"
        else:
            text, kind = _whole(text, body), "application/json"
        self.answer(text.encode(), {"Content-Type": kind}, status=status)


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
