"""The wire form of OpenAI's API as far as a gateway needs it: which model, which error, which end.

Pure text work; carrying requests is `gateway`'s business.
"""

import json
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

_DECODER = json.JSONDecoder()
_BLANK = " \t\n\r"
# mlx_lm.server loads what these name, from any path, in place of the model it serves.
_LOADING_FIELDS = ("adapters", "draft_model")
# The end of a stream of these paths; others, such as /v1/responses, have another.
_DONE_PATHS = ("/v1/chat/completions", "/v1/completions")


class BadRequest(Exception):
    """The body names no model; `param` is the field that is wrong, as OpenAI's errors have it."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True)
class ModelRequest:
    """A body and where in it the model's name stands, so that nothing else of it is touched."""

    text: str
    model: str
    spans: tuple[tuple[int, int], ...]

    def addressed_to(self, model: str) -> bytes:
        """The body with `model` in place of the model's name, all other characters as they were."""
        text = self.text
        for start, end in reversed(self.spans):
            text = text[:start] + json.dumps(model) + text[end:]
        return text.encode("utf-8", "surrogatepass")


def read_request(body: bytes) -> ModelRequest:
    """The request in a JSON body. Raises BadRequest when there is no model to be found in it."""
    try:
        text = body.decode("utf-8")
        fields, spans = _scan(text)
    except (ValueError, RecursionError, IndexError) as error:
        raise BadRequest(f"the body is not a JSON object: {error}") from error
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("the body names no `model`", "model")
    for name in _LOADING_FIELDS:
        if fields.get(name) is not None:
            raise BadRequest(f"`{name}` is not taken here: an endpoint serves one model", name)
    return ModelRequest(text, model, tuple(spans))


def error_body(
    message: str, kind: str, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """An error in OpenAI's form (platform.openai.com/docs/guides/error-codes)."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def is_cut_off(path: str, content_type: str, tail: bytes) -> bool:
    """Whether an event stream whose end only the closed connection marks lacks its last event.

    HTTP/1.0 servers such as mlx_lm's end a stream by closing; a killed one looks the same.
    """
    is_stream = content_type.startswith("text/event-stream")
    return is_stream and path in _DONE_PATHS and b"data: [DONE]" not in tail


def _scan(text: str) -> tuple[dict[str, Any], list[tuple[int, int]]]:
    """The top-level fields of an object and the spans of its `model` values."""
    fields: dict[str, Any] = {}
    spans: list[tuple[int, int]] = []
    at = _expect(text, _skip(text, 0), "{")
    if text[at] == "}":
        return fields, _end(text, at + 1, spans)
    while True:
        key, at = scanstring(text, _expect(text, at, '"'), True)
        start = _expect(text, _skip(text, at), ":")
        fields[key], at = _DECODER.raw_decode(text, start)
        if key == "model":
            spans.append((start, at))
        at = _skip(text, at)
        if text[at] == "}":
            return fields, _end(text, at + 1, spans)
        at = _expect(text, at, ",")


def _end(text: str, at: int, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    if _skip(text, at) != len(text):
        raise ValueError("something follows the object")
    return spans


def _expect(text: str, at: int, mark: str) -> int:
    """The next place after `mark` and blanks; inside a string blanks are kept."""
    if text[at : at + 1] != mark:
        raise ValueError(f"expected {mark} at character {at}")
    return at + 1 if mark == '"' else _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at
