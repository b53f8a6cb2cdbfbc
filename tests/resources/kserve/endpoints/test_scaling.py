"""An endpoint on a real cluster that gets more pods under load, and loses them when it is quiet."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
import pytest

from resources.kserve import Gateway, KServe, Scaling, Site
from resources.kserve.endpoints import autoscaler_references, http_route_reference
from resources.kserve.endpoints.scaling import HPA
from resources.kserve.names import predictor_name
from resources.kubernetes import Kubernetes, Reference
from resources.serving import Servable, Served
from tests.resources.serving_contract import route_to

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(900)]
START_SECONDS = 240.0
#: The autoscaler looks every 15 s at figures that are up to as old.
PATIENCE_SECONDS = 300.0
CLIENTS = 4


@pytest.fixture
def backend(kubernetes: Kubernetes, site: Site) -> Iterator[KServe]:
    """One whose endpoints have up to three pods, and a name at a Gateway."""
    scaling = Scaling(most=3, cpu_percent=80, down_after_seconds=5)
    gateway = Gateway("public", site.namespace, "models.example.org")
    made = KServe(kubernetes, replace(site, scaling=scaling, gateway=gateway))
    yield made
    made.route("qa", None)
    for slot in made.slots():
        made.release(slot.name)


@contextmanager
def load(address: str) -> Iterator[None]:
    """Clients that ask one thing after another for as long as the block runs."""
    over = threading.Event()

    def ask() -> None:
        request = {"model": "qa", "prompt": "Question: ", "max_tokens": 16}
        while not over.is_set():
            with httpx.Client(timeout=60) as client:
                client.post(f"{address}/v1/completions", json=request)

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        over.set()
        for each in threads:
            each.join()


def until(look: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if look():
            return
        time.sleep(0.5)
    raise AssertionError(f"not within {PATIENCE_SECONDS:.0f} s: {what}")


def deployment(backend: KServe, served: Served) -> Reference:
    name = predictor_name(served.slot.name)
    return Reference("apps/v1", "Deployment", name, backend.site.namespace)


def pods(backend: KServe, served: Served) -> int:
    """How many pods of the slot answer."""
    found = backend.cluster.get(deployment(backend, served))
    assert found is not None
    return int((found.get("status") or {}).get("readyReplicas", 0))


def routed(backend: KServe, servable: Servable) -> Served:
    served = backend.serve(servable, timeout_seconds=START_SECONDS)
    with backend.exclusive("qa"):
        backend.route("qa", route_to(served))
    return served


def test_one_pod_becomes_three_under_load_and_one_again(
    backend: KServe, servable: Servable
) -> None:
    served = routed(backend, servable)
    with load(backend.address("qa")):
        until(lambda: pods(backend, served) == 3, "three pods")
    until(lambda: pods(backend, served) == 1, "one pod")


def test_the_autoscaler_moves_to_the_champion_and_its_former_pods_go(
    backend: KServe, servable: Servable
) -> None:
    former = routed(backend, servable)
    many = {"spec": {"replicas": 2}}
    backend.cluster.patch(deployment(backend, former), many, subresource="scale")
    champion = routed(backend, replace(servable, digest="b" * 64))
    references = autoscaler_references("qa", backend.site)
    [reference] = [each for each in references if each.of_kind == HPA]
    found = backend.cluster.get(reference)
    assert found is not None
    assert found["spec"]["scaleTargetRef"]["name"] == predictor_name(champion.slot.name)
    until(lambda: pods(backend, former) == 1, "one pod of the former champion")


def test_an_endpoint_has_a_route_at_the_gateway_until_it_is_closed(
    backend: KServe, servable: Servable
) -> None:
    routed(backend, servable)
    reference = http_route_reference("qa", backend.site)
    found = backend.cluster.get(reference)
    assert found is not None
    assert found["spec"]["hostnames"] == ["qa.models.example.org"]
    backend.route("qa", None)
    assert backend.cluster.get(reference) is None
