"""The OpenAI API as it stands on the wire: requests, answers and errors as JSON.

Sending and receiving them is `openai_api`'s business.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resources.errors import ExternalError, PermanentError

Question = str | Sequence[Mapping[str, str]]

MAX_REASON = 300


@dataclass(frozen=True)
class Usage:
    """Tokens as the server counted them."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Completion:
    """An answer; `model` is the name the server says it used, `seconds` the last attempt alone."""

    text: str
    finish_reason: str | None
    model: str
    usage: Usage | None
    seconds: float


class Failure(Exception):
    """One attempt failed; `wait` seconds at least before the next one, None: do not try again."""

    def __init__(
        self,
        reason: str,
        kind: type[ExternalError] = PermanentError,
        *,
        wait: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(clean(reason)[:MAX_REASON])
        self.kind = kind
        self.wait = wait
        self.hint = hint


def request_for(model: str, question: Question, max_tokens: int) -> tuple[str, dict[str, Any]]:
    """The path and the body of a greedy request: a prompt, or messages for a chat."""
    body: dict[str, Any] = {"model": model, "max_tokens": max_tokens, "temperature": 0}
    if isinstance(question, str):
        return "/v1/completions", {**body, "prompt": question}
    return "/v1/chat/completions", {**body, "messages": [dict(message) for message in question]}


def parsed_object(body: bytes) -> Mapping[str, Any]:
    """The JSON object in `body`. Raises Failure for anything else, and for an error object."""
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Failure("the answer is not JSON", hint="is an OpenAI server there?") from error
    if not isinstance(reply, dict):
        raise Failure("the answer is no JSON object", hint="is an OpenAI server there?")
    if "error" in reply and "choices" not in reply:
        raise Failure(error_message(reply))
    return reply


def first_choice(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first choice; empty for the chunk that only brings the usage."""
    choices = reply.get("choices")
    if isinstance(choices, list) and all(isinstance(choice, dict) for choice in choices):
        return choices[0] if choices else {}
    raise Failure("the answer has no `choices`", hint="is an OpenAI server there?")


def text_of(choice: Mapping[str, Any]) -> str:
    """The text of a choice in any of its three forms; a null is an empty text."""
    for form in ("message", "delta"):
        if isinstance(choice.get(form), dict):
            return clean(choice[form].get("content"))
    return clean(choice.get("text"))


def completion_of(reply: Mapping[str, Any], seconds: float) -> Completion:
    """The completion that a reply holds, `seconds` after it was asked for."""
    choice = first_choice(reply)
    if not choice:
        raise Failure("the answer has no choice in it")
    reason = choice.get("finish_reason")
    return Completion(
        text=text_of(choice),
        finish_reason=clean(reason) if reason is not None else None,
        model=clean(reply.get("model")),
        usage=_usage(reply.get("usage")),
        seconds=seconds,
    )


def _usage(value: object) -> Usage | None:
    if not isinstance(value, dict):
        return None
    prompt, completion = value.get("prompt_tokens"), value.get("completion_tokens")
    if isinstance(prompt, int) and isinstance(completion, int):
        return Usage(prompt, completion)
    return None


def error_message(reply: object) -> str:
    """What an error says: OpenAI's `error.message`, a bare `error` or `detail`, or all of it."""
    if isinstance(reply, dict):
        found = reply.get("error", reply.get("detail", reply))
        reply = found.get("message", found) if isinstance(found, dict) else found
    return clean(" ".join(str(reply).split())) or "no reason given"


def clean(value: object) -> str:
    """A text that can be written as UTF-8: JSON may spell half of a surrogate pair."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""
