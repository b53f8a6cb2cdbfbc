"""Dagster Pipes messages from the logs of pods that have ended.

`dagster_k8s` has a reader that follows one pod; several that share a session would each open and
close it.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import cast

import dagster as dg
from dagster._core.pipes.context import PipesMessageHandler
from dagster_pipes import (
    PIPES_PROTOCOL_VERSION_FIELD,
    PipesDefaultMessageWriter,
    PipesMessage,
    PipesParams,
)


class LogMessages(dg.PipesMessageReader):
    """Hands on what `read` finds; each of the `writers` opens and closes the session."""

    def __init__(self, writers: int) -> None:
        self._writers = writers
        self._handler: PipesMessageHandler | None = None

    @property
    def expected_writer_count(self) -> int:
        return self._writers

    @contextmanager
    def read_messages(self, handler: PipesMessageHandler) -> Iterator[PipesParams]:
        self._handler = handler
        try:
            yield {PipesDefaultMessageWriter.STDIO_KEY: PipesDefaultMessageWriter.STDERR}
        finally:
            self._handler = None

    def read(self, logs: Iterable[str]) -> None:
        """Take the messages of all pods' logs; what is no message is left out."""
        for line in (line for log in logs for line in log.splitlines()):
            message = _message(line)
            if message is not None and self._handler is not None:
                self._handler.handle_message(message)

    def no_messages_debug_text(self) -> str:
        return "Attempted to read messages from the logs of the load test's pods."


def _message(line: str) -> PipesMessage | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    is_message = isinstance(found, dict) and PIPES_PROTOCOL_VERSION_FIELD in found
    return cast("PipesMessage", found) if is_message else None
