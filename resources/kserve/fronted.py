"""A cluster's backend whose endpoints also stand behind the gateway of this machine.

So people and reports find every endpoint under one address, whatever serves it.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from resources.gateway import routes as gateway_routes
from resources.kserve.backend import KServe
from resources.serving import OnWait, Route, Servable, Served, Slot, unheard


class Fronted:
    """`resources.serving.ServingBackend`; the gateway passes requests on to the stable Services."""

    def __init__(self, backend: KServe, routes_path: Path) -> None:
        self.backend = backend
        self.routes_path = routes_path

    def serve(
        self, servable: Servable, *, timeout_seconds: float, on_wait: OnWait = unheard
    ) -> Served:
        return self.backend.serve(servable, timeout_seconds=timeout_seconds, on_wait=on_wait)

    def slots(self) -> tuple[Slot, ...]:
        return self.backend.slots()

    def release(self, slot_name: str, *, confirm: bool = True) -> bool:
        return self.backend.release(slot_name, confirm=confirm)

    def exclusive(self, endpoint: str) -> AbstractContextManager[None]:
        return self.backend.exclusive(endpoint)

    def routes(self) -> Mapping[str, Route]:
        """What stands behind each endpoint, at the cluster and at the gateway alike."""
        table = gateway_routes.read(self.routes_path)
        found = self.backend.routes()
        return {model: route for model, route in found.items() if _agrees(table.get(model), route)}

    def route(self, endpoint: str, route: Route | None) -> None:
        self.backend.route(endpoint, route)
        if route is None:
            gateway_routes.put(self.routes_path, endpoint, None)
        else:
            stable = replace(route, url=self.backend.address(endpoint))
            gateway_routes.put(self.routes_path, endpoint, stable, balanced=True)


def _agrees(entry: gateway_routes.Entry | None, route: Route) -> bool:
    if entry is None:
        return False
    there = entry.route
    return (there.key, there.digest, there.model_name) == (
        route.key,
        route.digest,
        route.model_name,
    )
