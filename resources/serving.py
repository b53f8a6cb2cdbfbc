"""The serving port: what is wanted of any serving backend, never how it is done.

A slot is an engine (runtime, architecture, GPU); what it serves is kept apart from it, so that a
warm engine can take another checkpoint in place. `process_serving` is the embedded backend.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from resources.errors import NeedsRepair, PermanentError

#: Is told, in a sentence, what a start waits for, each time that this changes.
OnWait = Callable[[str], None]


def unheard(reason: str) -> None:
    """For who waits and does not ask what for."""


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
    engine is the same slot still. `altered` is what somebody else changed in it, which serving the
    checkpoint again puts right.
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
    altered: str = ""


@dataclass(frozen=True)
class Served:
    """A slot that answered, with the seconds each start phase took and whether it was up before.

    `mended` names what was put right in a slot that somebody had altered.
    """

    slot: Slot
    phases: Mapping[str, float] = field(default_factory=dict)
    reused: bool = False
    mended: tuple[str, ...] = ()


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

    def serve(
        self, servable: Servable, *, timeout_seconds: float, on_wait: OnWait = unheard
    ) -> Served:
        """Return once a real completion came back under `servable.name`.

        A slot that is up is used again as it was started, whatever the settings say since; one that
        failed is replaced, and then its URL may differ from the one that routes hold. Raises
        PermanentError with the engine's own last words when it cannot start, NeedsRepair where that
        is not the checkpoint's fault, of these DeadlineExceeded when it did not answer in time; all
        leave no new slot.
        """
        ...

    def slots(self) -> tuple[Slot, ...]:
        """Every slot there is, ready or not, in the order of their names."""
        ...

    def release(self, slot_name: str, *, confirm: bool = True) -> bool:
        """Take the slot away; False when there was none.

        Without `confirm` it may still be ending: it is no slot any more, and finishes the requests
        that it has.
        """
        ...

    def exclusive(self, endpoint: str) -> AbstractContextManager[None]:
        """Hold the endpoint while its registry alias and its route are moved together."""
        ...

    def routes(self) -> Mapping[str, Route]:
        """What is behind each endpoint now; not one that somebody else has changed since."""
        ...

    def route(self, endpoint: str, route: Route | None) -> None:
        """Put `route` behind the endpoint in one atomic step; None closes the endpoint."""
        ...


def require_runtime(servable: Servable, runtimes: Collection[str]) -> None:
    """Raise NeedsRepair where the servable's runtime is none of them."""
    if servable.runtime not in runtimes:
        raise NeedsRepair(
            "the serving backend",
            f"serve {servable.key}",
            f"there is no runtime `{servable.runtime}`",
            hint=f"set `serving.runtime` to one of {', '.join(sorted(runtimes))}",
        )


def refuse_unservable(servable: Servable, runtimes: Mapping[str, bool]) -> None:
    """Raise for what no slot can serve; `runtimes` says of each whether it takes PEFT adapters.

    Raises NeedsRepair where the settings lack something, else PermanentError.
    """
    require_runtime(servable, runtimes)
    system, action = f"the runtime {servable.runtime}", f"serve {servable.key}"
    if servable.adapter_of is not None and not runtimes[servable.runtime]:
        others = sorted(name for name, takes_adapters in runtimes.items() if takes_adapters)
        other = f"set `serving.runtime: {others[0]}`, or " if others else ""
        raise PermanentError(
            system,
            action,
            "it is a PEFT adapter, which this runtime cannot put on a base model",
            hint=f"{other}merge the adapter into its base model",
        )
    if servable.adapter_of is not None and servable.base_location is None:
        raise NeedsRepair(
            system,
            action,
            f"nothing says where its base model `{servable.adapter_of}` lies",
            hint=f"set `serving.base_models: {{{servable.adapter_of}: DIRECTORY}}`",
        )


@contextmanager
def borrowed(
    backend: ServingBackend,
    servable: Servable,
    *,
    timeout_seconds: float,
    on_wait: OnWait = unheard,
) -> Iterator[Served]:
    """A slot for as long as the block runs: one that was up stays up, a new one goes again."""
    served = backend.serve(servable, timeout_seconds=timeout_seconds, on_wait=on_wait)
    try:
        yield served
    finally:
        if not served.reused:
            backend.release(served.slot.name)
