"""Reads one answer of the OpenAI completions API, streamed or whole, line by line as it comes.

Knows no socket and no clock: the caller hands over each line with the time at which it came.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from resources.load.rows import Failure

# What a delta may carry that a model generated; `role` alone is the server's greeting.
_GENERATED = ("content", "reasoning_content", "reasoning", "tool_calls")


@dataclass
class Completion:
    """What an answer has held so far; times are the caller's.

    `first_token` is the first non-empty content or, when the model ended at once, the event with
    the finish reason: its only token was the end. `end` is `[DONE]`, else the last event.
    """

    chunks: list[float] = field(default_factory=list)
    first_token: float | None = None
    end: float | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    usage_tokens: int | None = None
    error: Failure | None = None
    reason: str = ""
    done: bool = False

    @property
    def output_tokens(self) -> int:
        return len(self.chunks) if self.usage_tokens is None else self.usage_tokens

    def fail(self, error: Failure, reason: str) -> None:
        """Record a failure; the first one stays, since what follows comes of it."""
        if self.error is None:
            self.error, self.reason = error, reason[:300]

    def read_line(self, line: bytes, now: float) -> None:
        """Take one line of an event stream. Comments, blank lines and other fields are skipped."""
        if not line.startswith(b"data:") or self.done:
            return
        payload = line[5:].strip()
        if payload == b"[DONE]":
            self.done, self.end = True, now
            return
        self.end = now
        self._event(payload, now)

    def read_body(self, body: bytes, now: float) -> None:
        """Take a whole answer, as it comes without streaming; it has no first token of its own."""
        self.end = now
        self._event(body, now)
        self.chunks.clear()
        self.first_token = None
        self.done = self.finish_reason is not None

    def close(self, now: float) -> None:
        """The answer is over: an incomplete one becomes a failure."""
        if not self.done and self.finish_reason is None:
            self.fail(Failure.TRUNCATED, "ended without [DONE] and without a finish reason")
        elif self.first_token is None and self.finish_reason is None:
            self.fail(Failure.PROTOCOL, "ended without a token and without a finish reason")
        if self.end is None or self.error is not None:
            self.end = now

    def _event(self, payload: bytes, now: float) -> None:
        try:
            event = json.loads(payload)
        except ValueError:
            self.fail(Failure.PROTOCOL, f"not JSON: {payload[:80]!r}")
            return
        if not isinstance(event, dict):
            self.fail(Failure.PROTOCOL, f"not an object: {payload[:80]!r}")
            return
        if event.get("error"):
            self.fail(Failure.SERVER, f"error in the answer: {event['error']}")
            return
        self._usage(event.get("usage"))
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._choice(choice, now)

    def _choice(self, choice: dict[str, Any], now: float) -> None:
        if _has_content(choice):
            self.chunks.append(now)
            if self.first_token is None:
                self.first_token = now
        if choice.get("finish_reason") is not None:
            self.finish_reason = str(choice["finish_reason"])
            if self.first_token is None:
                self.first_token = now

    def _usage(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        self.prompt_tokens = _count(usage.get("prompt_tokens"), self.prompt_tokens)
        self.usage_tokens = _count(usage.get("completion_tokens"), self.usage_tokens)


def _has_content(choice: dict[str, Any]) -> bool:
    if choice.get("text"):
        return True
    delta = choice.get("delta") or choice.get("message")
    return isinstance(delta, dict) and any(delta.get(name) for name in _GENERATED)


def _count(found: Any, otherwise: int | None) -> int | None:
    # JSON's true is an int to Python.
    return found if type(found) is int and 0 <= found < 2**31 else otherwise
