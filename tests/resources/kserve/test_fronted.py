"""A cluster's endpoints behind the gateway of this machine: the two never tell different things."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from resources.gateway import routes
from resources.kserve import Fronted, KServe, Site
from resources.kubernetes import Kubernetes
from resources.serving import Route

STABLE = "http://10.0.0.1:80"
ROUTE = Route("qa.run.1", "d", "http://10.0.0.7:80", "qa")


class Cluster(KServe):
    """Endpoints in memory; each has the stable address of its Service."""

    def __init__(self) -> None:
        super().__init__(Kubernetes(Path("none")), Site("models", {}))
        self.found: dict[str, Route] = {}

    def routes(self) -> Mapping[str, Route]:
        return dict(self.found)

    def route(self, endpoint: str, route: Route | None) -> None:
        self.found.pop(endpoint, None)
        if route is not None:
            self.found[endpoint] = route

    def address(self, endpoint: str) -> str:
        return STABLE


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "gateway").mkdir()
    return tmp_path / "gateway" / "routes.json"


@pytest.fixture
def fronted(table: Path) -> Fronted:
    return Fronted(Cluster(), table)


def test_the_gateway_passes_on_to_the_stable_address(fronted: Fronted, table: Path) -> None:
    fronted.route("qa", ROUTE)
    assert routes.read(table)["qa"].route == Route("qa.run.1", "d", STABLE, "qa")
    assert fronted.routes() == {"qa": ROUTE}


def test_every_request_takes_a_connection_of_its_own_to_where_pods_are_chosen(
    fronted: Fronted, table: Path
) -> None:
    fronted.route("qa", ROUTE)
    assert routes.read(table)["qa"].balanced


def test_an_endpoint_that_the_gateway_lost_is_not_told_as_routed(
    fronted: Fronted, table: Path
) -> None:
    fronted.route("qa", ROUTE)
    table.unlink()
    assert fronted.routes() == {}


def test_an_endpoint_that_was_moved_at_the_cluster_alone_is_not_told_as_routed(
    fronted: Fronted,
) -> None:
    fronted.route("qa", ROUTE)
    fronted.backend.route("qa", Route("qa.run.2", "e", "http://10.0.0.8:80", "qa"))
    assert fronted.routes() == {}


def test_a_closed_endpoint_is_closed_at_both(fronted: Fronted, table: Path) -> None:
    fronted.route("qa", ROUTE)
    fronted.route("qa", None)
    assert (dict(fronted.routes()), dict(routes.read(table))) == ({}, {})
