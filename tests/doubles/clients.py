"""Clients of an endpoint for as long as a block runs; what came back wrong is kept."""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx


class Clients:
    """Each asks one request after the other, on a connection of its own each, at its address."""

    def __init__(
        self, addresses: Sequence[str], request: dict[str, Any], *, pause_seconds: float = 0.0
    ) -> None:
        self.answered = 0
        self.failed: list[str] = []
        self._request = request
        self._pause_seconds = pause_seconds
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(each,)) for each in addresses]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for each in self._threads:
            each.join()

    def _ask(self, address: str) -> None:
        no_reuse = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=address, timeout=60, limits=no_reuse) as client:
            while not self._over.wait(self._pause_seconds):
                problem = self._problem(client)
                with self._lock:
                    self.answered += 1
                    self.failed += [problem] if problem else []

    def _problem(self, client: httpx.Client) -> str:
        try:
            answer = client.post("/v1/completions", json=self._request)
            return "" if answer.json()["choices"] else answer.text
        except (httpx.HTTPError, KeyError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
