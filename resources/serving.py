"""The serving port: what is wanted of any serving backend, never how it is done.

A slot is an engine (runtime, architecture, GPU); what it serves is kept apart from it, so that a
warm engine can take another checkpoint in place. `process_serving` is the embedded backend.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True)
class Servable:
    """One published checkpoint to be served.

    `name` is the model name clients ask for, `location` the URL of the published directory with
    its final slash, `digest` the manifest's digest. Where it is a PEFT adapter, `adapter_of` is
    the name of its base model as the trainer wrote it, and `base_location` where that model lies,
    None where nobody has said so.
    """

    key: str
    name: str
    digest: str
    location: str
    runtime: str
    adapter_of: str | None = None
    base_location: str | None = None


class SlotState(StrEnum):
    """`failed` is final until someone serves again; `starting` covers restarts after a crash."""

    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Slot:
    """An engine and what it serves; `url` is the base of its OpenAI API, without `/v1`.

    `since` is when the engine started, in seconds since 1970, 0 while it does not run; a restarted
    engine is the same slot still.
    """

    name: str
    key: str
    digest: str
    model_name: str
    runtime: str
    url: str
    state: SlotState
    reason: str = ""
    since: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Served:
    """A slot that answered, with the seconds each start phase took and whether it was up before."""

    slot: Slot
    phases: Mapping[str, float] = field(default_factory=dict)
    reused: bool = False


@dataclass(frozen=True)
class Route:
    """What is behind an endpoint: checkpoint key and digest, the upstream and its model name."""

    key: str
    digest: str
    url: str
    model_name: str


class ServingBackend(Protocol):
    """Serve checkpoints and put one of them behind each endpoint. Every call can be repeated.

    All raise TransientError where trying again may help, PermanentError where it will not.
    """

    def serve(self, servable: Servable, *, timeout_seconds: float) -> Served:
        """Return once a real completion came back under `servable.name`.

        A slot that is up is used again, one that failed is replaced, and then its URL may differ
        from the one that routes hold. Raises PermanentError with the engine's own last words when
        it cannot start, TransientError when it did not answer in time; both leave no new slot.
        """
        ...

    def slots(self) -> tuple[Slot, ...]:
        """Every slot there is, ready or not, in the order of their names."""
        ...

    def release(self, slot_name: str) -> bool:
        """Take the slot away; False when there was none."""
        ...

    def exclusive(self, endpoint: str) -> AbstractContextManager[None]:
        """Hold the endpoint while its registry alias and its route are moved together."""
        ...

    def routes(self) -> Mapping[str, Route]:
        """What is behind each endpoint now."""
        ...

    def route(self, endpoint: str, route: Route | None) -> None:
        """Put `route` behind the endpoint in one atomic step; None closes the endpoint."""
        ...


@contextmanager
def borrowed(
    backend: ServingBackend, servable: Servable, *, timeout_seconds: float
) -> Iterator[Served]:
    """A slot for as long as the block runs: one that was up stays up, a new one goes again."""
    served = backend.serve(servable, timeout_seconds=timeout_seconds)
    try:
        yield served
    finally:
        if not served.reused:
            backend.release(served.slot.name)
