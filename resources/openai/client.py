"""A client of the OpenAI completion API, for asking and for listing; greedy, with retries.

Measuring a server under load needs its own clock and schedule and is not done through this.
"""

import json
import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import httpx

from resources.errors import TransientError
from resources.openai.wire import (
    Completion,
    Failure,
    Question,
    clean,
    completion_of,
    error_message,
    first_choice,
    parsed_object,
    request_for,
    text_of,
)

Result = TypeVar("Result")

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_WAIT_SECONDS = 8.0
# Too early, too many, and what gateways and model servers answer while they restart.
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


class OpenAIClient:
    """One server, by the URL below which `/v1` stands; threads may share it.

    Tries `attempts` times over refused and lost connections, 5xx, 408 and 429, waiting
    `backoff_seconds`, then twice that and so on, with jitter; `Retry-After` is honoured, and no
    wait is longer than 8 s. A timeout is not tried again, since the server may still be working on
    the first request. `timeout_seconds` bounds one attempt, in a stream the silence between two
    pieces. Proxies named by the environment are not used.

    Every method raises TransientError once the attempts are used up, and PermanentError for what
    the server refuses or answers senselessly. An `http` that was given in stays open.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_seconds: float = 60.0,
        attempts: int = 4,
        backoff_seconds: float = 0.25,
        http: httpx.Client | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/").removesuffix("/v1")
        self._timeout = timeout_seconds
        self._attempts = attempts
        self._backoff = backoff_seconds
        self._http = http or httpx.Client(trust_env=False)
        self._owned = http is None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, unless they were given in."""
        if self._owned:
            self._http.close()

    def complete(self, model: str, question: Question, *, max_tokens: int) -> Completion:
        """The greedy answer to a prompt (`/v1/completions`) or to messages (`…/chat/…`)."""
        path, body = request_for(model, question, max_tokens)

        def attempt() -> Completion:
            started = time.monotonic()
            reply = self._json("POST", path, body)
            return completion_of(reply, time.monotonic() - started)

        return self._tried(f"complete with `{model}`", attempt)

    def stream(
        self, model: str, question: Question, *, max_tokens: int
    ) -> Generator[str, None, None]:
        """The pieces of the greedy answer as they come, none of them empty.

        Tried again only as long as no piece was handed out. A stream that breaks off, or ends
        without saying that it is complete, raises TransientError.
        """
        path, body = request_for(model, question, max_tokens)
        action = f"complete with `{model}`"

        def attempt() -> tuple[Generator[str, None, None], str | None]:
            pieces = self._pieces(path, {**body, "stream": True})
            return pieces, next(pieces, None)

        pieces, first = self._tried(action, attempt)
        try:
            if first is not None:
                yield first
            yield from pieces
        except Failure as error:
            raise error.kind(self._system, action, str(error)) from error
        finally:
            pieces.close()

    def models(self) -> tuple[str, ...]:
        """The names that the server answers to, as it lists them."""

        def attempt() -> tuple[str, ...]:
            listed = self._json("GET", "/v1/models", None).get("data")
            if not isinstance(listed, list):
                raise Failure("the answer is no list of models")
            return tuple(
                clean(entry["id"])
                for entry in listed
                if isinstance(entry, dict) and isinstance(entry.get("id"), str)
            )

        return self._tried("list its models", attempt)

    @property
    def _system(self) -> str:
        return f"the endpoint {self._base_url}"

    def _tried(self, action: str, attempt: Callable[[], Result]) -> Result:
        for left in reversed(range(self._attempts)):
            try:
                return attempt()
            except Failure as error:
                if error.wait is None or not left:
                    raise error.kind(self._system, action, str(error), hint=error.hint) from error
                doubled = self._backoff * 2 ** (self._attempts - 1 - left)
                # Jitter, so that the pool's threads do not come back all at once.
                wait = max(error.wait, doubled * random.uniform(0.5, 1.0))
            time.sleep(min(wait, MAX_WAIT_SECONDS))
        raise ValueError("attempts must be at least 1")

    @contextmanager
    def _answered(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> Iterator[httpx.Response]:
        """A response with status 200, its body unread. What fails in reading it is a Failure."""
        url = self._base_url + path
        try:
            with self._http.stream(method, url, json=body, timeout=self._timeout) as response:
                if response.status_code != 200:
                    raise _refusal(response, _body(response, self._timeout))
                yield response
        except httpx.ConnectTimeout as error:
            raise Failure("no connection in time", TransientError, wait=0) from error
        except httpx.TimeoutException as error:
            reason = f"no answer within {self._timeout:g} s"
            raise Failure(reason, TransientError) from error
        except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
            reason = f"the connection failed: {error or type(error).__name__}"
            raise Failure(reason, TransientError, wait=0) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Failure(f"{error}", hint="check the address of the endpoint") from error

    def _json(self, method: str, path: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
        with self._answered(method, path, body) as response:
            return parsed_object(_body(response, self._timeout))

    def _pieces(self, path: str, body: Mapping[str, Any]) -> Generator[str, None, None]:
        complete = False
        with self._answered("POST", path, body) as response:
            for event in _events(response):
                if event == b"[DONE]":
                    return
                choice = first_choice(parsed_object(event))
                complete = complete or choice.get("finish_reason") is not None
                if text := text_of(choice):
                    yield text
        if not complete:
            raise Failure("the stream broke off before its end", TransientError, wait=0)


def _body(response: httpx.Response, timeout: float) -> bytes:
    """The whole body; a server that drips or floods is given up."""
    deadline, body = time.monotonic() + timeout, bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Failure(f"the answer has more than {MAX_BODY_BYTES} bytes")
        if time.monotonic() > deadline:
            raise Failure(f"the answer did not end within {timeout:g} s", TransientError)
    return bytes(body)


def _events(response: httpx.Response) -> Iterator[bytes]:
    """The `data:` lines of an event stream.

    Split at line feeds only: `httpx.Response.iter_lines` also splits at U+2028 and its like, which
    may stand inside a JSON string.
    """
    rest = b""
    for chunk in response.iter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_BODY_BYTES:
            raise Failure(f"a line of the stream has more than {MAX_BODY_BYTES} bytes")
        for line in lines:
            if line.startswith(b"data:"):
                yield line.removeprefix(b"data:").strip()
    if rest.startswith(b"data:"):
        yield rest.removeprefix(b"data:").strip()


def _refusal(response: httpx.Response, body: bytes) -> Failure:
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        reply = body.decode("utf-8", "replace")
    reason = f"{response.status_code}: {error_message(reply)}"
    if response.status_code not in RETRIED:
        return Failure(reason)
    asked = response.headers.get("Retry-After", "")
    return Failure(reason, TransientError, wait=float(asked) if asked.isdecimal() else 0)
