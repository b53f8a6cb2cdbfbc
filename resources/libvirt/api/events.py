"""What happens to domains, as events that can be waited for; none is told twice or told late.

Polling the state of domains is left to `observation`: events that nobody watched are lost.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from resources.errors import DeadlineExceeded, TransientError
from resources.libvirt.api.connection import Connection
from resources.libvirt.api.failures import SYSTEM
from resources.libvirt.records import Identity

_LIFECYCLE = (
    "defined", "undefined", "started", "suspended", "resumed", "stopped", "shutdown",
    "suspended by the guest", "crashed",
)  # fmt: skip
_AGENT = ("", "agent connected", "agent gone")


@dataclass(frozen=True)
class Event:
    """`what` is one of: defined, undefined, started, suspended, resumed, stopped (it is off),
    shutdown (it has begun to end), crashed, agent connected, agent gone."""

    identity: Identity
    what: str
    #: libvirt's number: of `stopped` 0 is shut down, 1 destroyed, 2 crashed, 5 failed to start.
    detail: int


class Watch:
    """The events since it began."""

    def __init__(self) -> None:
        self._seen: list[Event] = []
        self._lost = ""
        self._changed = threading.Condition()

    @property
    def seen(self) -> tuple[Event, ...]:
        with self._changed:
            return tuple(self._seen)

    def wait(self, name: str, what: str, *, timeout_seconds: float) -> Event:
        """The first event `what` of the domain since the watch began, be it over already.

        Raises DeadlineExceeded when none comes, TransientError when the connection is lost.
        """
        return self.wait_for(
            lambda each: (each.identity.name, each.what) == (name, what),
            action=f"see `{what}` of {name}", timeout_seconds=timeout_seconds,
        )  # fmt: skip

    def wait_for(
        self, fits: Callable[[Event], bool], *, action: str, timeout_seconds: float
    ) -> Event:
        """The first event that fits; what `wait` raises, of `action`."""
        deadline = time.monotonic() + timeout_seconds
        looked_at = 0
        with self._changed:
            while True:
                for event in self._seen[looked_at:]:
                    if fits(event):
                        return event
                looked_at = len(self._seen)
                if self._lost:
                    hint = "look at the state of the domains, then watch anew"
                    raise TransientError(SYSTEM, action, self._lost, hint=hint)
                if not self._changed.wait(deadline - time.monotonic()):
                    reason = f"it did not come within {timeout_seconds:g} s"
                    raise DeadlineExceeded(SYSTEM, action, reason)

    def tell(self, event: Event) -> None:
        with self._changed:
            self._seen.append(event)
            self._changed.notify_all()

    def lose(self, reason: str) -> None:
        with self._changed:
            self._lost = reason
            self._changed.notify_all()


@contextmanager
def watching(connection: Connection) -> Iterator[Watch]:
    """Within, all events of domains are gathered; begin it before what is to be seen."""
    watch = Watch()
    handle, libvirt = connection.handle(), connection.libvirt

    def lifecycle(_: object, domain: Any, event: int, detail: int, _context: object) -> None:
        watch.tell(Event(_identity(domain), _named(_LIFECYCLE, event), detail))

    def agent(_: object, domain: Any, state: int, reason: int, _context: object) -> None:
        watch.tell(Event(_identity(domain), _named(_AGENT, state), reason))

    wanted = {
        libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE: lifecycle,
        libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE: agent,
    }
    with connection.watched(watch.lose):
        with connection.translated("watch its domains"):
            numbers = [
                handle.domainEventRegisterAny(None, kind, callback, None)
                for kind, callback in wanted.items()
            ]
        try:
            yield watch
        finally:
            for number in numbers:
                with suppress(libvirt.libvirtError):
                    handle.domainEventDeregisterAny(number)


def _identity(domain: Any) -> Identity:
    """Known to the object itself; nothing is asked in the thread of events."""
    return Identity(domain.name(), domain.UUIDString())


def _named(names: tuple[str, ...], number: int) -> str:
    return names[number] if number < len(names) else f"event {number}"
