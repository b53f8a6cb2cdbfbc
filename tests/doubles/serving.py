"""A serving backend in memory; what it must do is `tests/resources/serving_contract.py`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from resources.errors import PermanentError
from resources.serving import (
    OnWait,
    Route,
    Servable,
    Served,
    Slot,
    SlotState,
    require_runtime,
    unheard,
)


class MemoryServing:
    """`resources.serving.ServingBackend`; every slot has the address `url`.

    `broken` holds locations of models that cannot be loaded, each with the engine's last words;
    `waits` is what every start waits for.
    """

    def __init__(self, url: str = "http://127.0.0.1:1", runtimes: tuple[str, ...] = ("mlx",)):
        self.url = url
        self.broken: dict[str, str] = {}
        self.waits: tuple[str, ...] = ()
        self.started: list[str] = []
        self._runtimes = runtimes
        self._slots: dict[str, Slot] = {}
        self._routes: dict[str, Route] = {}

    def serve(
        self, servable: Servable, *, timeout_seconds: float, on_wait: OnWait = unheard
    ) -> Served:
        require_runtime(servable, self._runtimes)
        for reason in self.waits:
            on_wait(reason)
        if servable.location in self.broken:
            words = self.broken[servable.location]
            raise PermanentError("the model server", f"load {servable.key}", words)
        name = f"slot-{servable.key}-{servable.digest[:8]}"
        slot = self._slots.get(name)
        if slot is not None and slot.state is SlotState.READY:
            self._slots[name] = replace(slot, altered="")
            mended = (slot.altered,) if slot.altered else ()
            phases = {"first_completion": 0.01}
            return Served(self._slots[name], phases, reused=True, mended=mended)
        self._slots[name] = Slot(
            name=name,
            key=servable.key,
            digest=servable.digest,
            model_name=servable.name,
            runtime=servable.runtime,
            url=self.url,
            state=SlotState.READY,
        )
        self.started.append(servable.key)
        phases = {"spawn": 0.01, "health": 0.02, "first_completion": 0.01}
        return Served(self._slots[name], phases)

    def slots(self) -> tuple[Slot, ...]:
        return tuple(self._slots[name] for name in sorted(self._slots))

    def release(self, slot_name: str, *, confirm: bool = True) -> bool:
        return self._slots.pop(slot_name, None) is not None

    @contextmanager
    def exclusive(self, endpoint: str) -> Iterator[None]:
        yield

    def routes(self) -> Mapping[str, Route]:
        return dict(self._routes)

    def route(self, endpoint: str, route: Route | None) -> None:
        if route is None:
            self._routes.pop(endpoint, None)
        else:
            self._routes[endpoint] = route

    def fail(self, key: str, reason: str) -> None:
        """Let the slots of a checkpoint be failed ones, as after a crash loop."""
        for name, slot in self._slots.items():
            if slot.key == key:
                self._slots[name] = replace(slot, state=SlotState.FAILED, reason=reason)

    def alter(self, key: str, altered: str) -> None:
        """Let somebody have changed the slots of a checkpoint."""
        for name, slot in self._slots.items():
            if slot.key == key:
                self._slots[name] = replace(slot, altered=altered)

    def restart(self, key: str, reason: str, *, url: str = "") -> None:
        """Let the slots of a checkpoint be on their way up, as after the death of a node."""
        for name, slot in self._slots.items():
            if slot.key == key:
                state = SlotState.STARTING
                self._slots[name] = replace(slot, url=url, state=state, reason=reason)

    @property
    def up(self) -> list[str]:
        """The checkpoints that have a slot."""
        return [slot.key for slot in self.slots()]
