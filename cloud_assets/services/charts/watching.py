"""What keeps workloads from coming up, looked at while something else waits for them.

helm waits without a word and takes back what failed, and with it all that could tell why.
"""

import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TypeVar

from resources.errors import ExternalError, TransientError
from resources.kubernetes import Kubernetes, Reference, rolled_out

T = TypeVar("T")

_LOOK_SECONDS = 2.0
_OVERDUE = re.compile(r"deadline|timed out")


class Watched:
    """Looks at the workloads from a thread of its own while the `with` block lasts."""

    def __init__(self, cluster: Kubernetes, workloads: Sequence[Reference]) -> None:
        self._cluster = cluster
        self._workloads = workloads
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        #: Why one of them was not up when it was looked at last; empty as long as all were.
        self.reason = ""

    def __enter__(self) -> "Watched":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def through(self, act: Callable[[], T]) -> T:
        """What `act` gives; where it ran out of time, the error says what the cluster said last."""
        try:
            return act()
        except TransientError as error:
            if self.reason and _OVERDUE.search(error.reason):
                raise TransientError(error.system, error.action, self.reason) from error
            raise

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            for each in self._workloads:
                with suppress(ExternalError):
                    found = self._cluster.get(each)
                    if found is not None and not rolled_out().holds(found):
                        self.reason = f"{each} is not up: {self._cluster.why(each)}"
                        break
