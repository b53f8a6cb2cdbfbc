"""What is asked of one model server over HTTP: is it healthy, does it answer under its name.

With the standard library alone, so that a status call stays light. Clients' traffic goes through
`gateway`.
"""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from resources.errors import PermanentError, TransientError


def health(url: str, path: str, *, timeout_seconds: float) -> int | None:
    """The HTTP status of the health path; None when nothing answers in time."""
    try:
        status, _ = _exchange(url, "GET", path, timeout_seconds=timeout_seconds)
    except (OSError, http.client.HTTPException):
        return None
    return status


def complete(url: str, model: str, *, timeout_seconds: float) -> None:
    """Return once a completion of one token came back under the name `model`.

    Raises TransientError when no answer or a 5xx came, PermanentError for every other answer.
    """
    body = json.dumps({"model": model, "prompt": "Hello", "max_tokens": 1, "temperature": 0})
    action = f"complete a prompt under the name {model}"
    try:
        status, text = _exchange(
            url, "POST", "/v1/completions", body=body, timeout_seconds=timeout_seconds
        )
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise TransientError(f"the model server at {url}", action, reason) from error
    if status >= 500:
        raise TransientError(f"the model server at {url}", action, f"HTTP {status}: {text[:500]}")
    if status != 200 or not _is_completion(text, model):
        raise PermanentError(f"the model server at {url}", action, f"HTTP {status}: {text[:500]}")


def _is_completion(text: str, model: str) -> bool:
    try:
        answer: Any = json.loads(text)
    except ValueError:
        return False
    return isinstance(answer, dict) and answer.get("model") == model and bool(answer.get("choices"))


def _exchange(
    url: str, method: str, path: str, *, body: str | None = None, timeout_seconds: float
) -> tuple[int, str]:
    address = urlsplit(url)
    headers = {"Content-Type": "application/json"} if body else {}
    connection = http.client.HTTPConnection(
        address.hostname or "127.0.0.1", address.port, timeout=timeout_seconds
    )
    try:
        connection.request(method, address.path + path, body, headers)
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")
    finally:
        connection.close()
