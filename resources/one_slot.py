"""A serving backend that never runs two engines of a model: for a site with one GPU.

What comes back behind an endpoint whose engine had to go is decided by whoever asked for that.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from resources.serving import OnWait, Route, Servable, Served, ServingBackend, Slot, unheard


class OneSlot:
    """`resources.serving.ServingBackend` over another one; serving a checkpoint stops its like.

    Until the checkpoint answers, its model's endpoint has nothing behind it. Slots of other models
    are left alone.
    """

    def __init__(self, backend: ServingBackend) -> None:
        self.backend = backend

    def serve(
        self, servable: Servable, *, timeout_seconds: float, on_wait: OnWait = unheard
    ) -> Served:
        own = (servable.key, servable.digest)
        for slot in self.backend.slots():
            if slot.model_name == servable.name and (slot.key, slot.digest) != own:
                self.backend.release(slot.name)
        return self.backend.serve(servable, timeout_seconds=timeout_seconds, on_wait=on_wait)

    def slots(self) -> tuple[Slot, ...]:
        return self.backend.slots()

    def release(self, slot_name: str, *, confirm: bool = True) -> bool:
        return self.backend.release(slot_name, confirm=confirm)

    def exclusive(self, endpoint: str) -> AbstractContextManager[None]:
        return self.backend.exclusive(endpoint)

    def routes(self) -> Mapping[str, Route]:
        return self.backend.routes()

    def route(self, endpoint: str, route: Route | None) -> None:
        self.backend.route(endpoint, route)
