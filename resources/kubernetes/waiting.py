"""Waiting on one object by a watch that is taken up again however it ends.

A watch tells what changes after a list; so each begins with a list, and a watch that expired, was
closed or fell silent costs one more.
"""

import math
import time
from collections.abc import Iterator
from typing import Any

from resources.errors import TransientError
from resources.kubernetes.api.connection import Connection
from resources.kubernetes.conditions import Condition
from resources.kubernetes.reference import Object, Reference

#: A connection whose other end is gone is noticed after this.
_SILENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.2


class Wait:
    """One wait; `last` is the object as it was seen last, None where there was none."""

    def __init__(self, connection: Connection, reference: Reference, *, deadline: float) -> None:
        self._connection = connection
        self._reference = reference
        self._deadline = deadline
        self.last: Object | None = None
        self.trouble: TransientError | None = None

    def until(self, condition: Condition) -> bool:
        """Whether it came to hold before the deadline on the monotonic clock.

        Outlives an API server that is away; raises PermanentError for what it refuses.
        """
        while True:
            try:
                if any(condition.holds(each) for each in self._versions()):
                    return True
                self.trouble = None
            except TransientError as error:
                self.trouble = error
            if self._left() <= 0:
                return False
            time.sleep(min(_PAUSE_SECONDS, max(self._left(), 0.0)))

    def _versions(self) -> Iterator[Object | None]:
        """The object now and after each change, until the watch ends."""
        action = f"watch {self._reference}"
        # This loop is the retrying, and it knows the deadline.
        once: dict[str, Any] = {"action": action, "retry_seconds": 0.0}
        resource = self._connection.resource(self._reference.of_kind, **once)
        path = resource.path(namespace=self._reference.namespace)
        only: dict[str, Any] = {"field_selector": f"metadata.name={self._reference.name}"}
        listed = self._connection.send("GET", path, **once, **only)
        kind = {"apiVersion": self._reference.api_version, "kind": self._reference.kind}
        self.last = next(({**kind, **each} for each in listed["items"] or ()), None)
        yield self.last
        limit = min(self._left(), _SILENCE_SECONDS)
        if limit <= 0:
            return
        only.update(
            watch=True, resource_version=listed["metadata"].get("resourceVersion"),
            timeout_seconds=max(1, math.ceil(limit)),
        )  # fmt: skip
        with self._connection.stream(path, action=action, silence_seconds=limit, **only) as events:
            yield from self._followed(events)

    def _followed(self, events: Iterator[Object]) -> Iterator[Object | None]:
        for event in events:
            if event["type"] == "ERROR":
                # Most often 410: what the list told is too old to go on from.
                return
            if event["type"] != "BOOKMARK":
                self.last = None if event["type"] == "DELETED" else event["object"]
                yield self.last
            if self._left() <= 0:
                return

    def _left(self) -> float:
        return self._deadline - time.monotonic()
