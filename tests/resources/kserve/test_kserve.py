"""The cluster's serving backend on a real KServe: the contract of every backend, and its own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from examples import tiny_llama
from resources.errors import NeedsRepair, PermanentError
from resources.kserve import KServe, Site
from resources.kserve.names import slot_name
from resources.kubernetes import Kubernetes
from resources.serving import Servable
from tests.resources.kserve.conftest import Store
from tests.resources.serving_contract import ServingContract, route_to

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(3600)]
START_SECONDS = 240.0


@pytest.fixture
def backend(kubernetes: Kubernetes, site: Site) -> Iterator[KServe]:
    made = KServe(kubernetes, site)
    yield made
    for slot in made.slots():
        made.release(slot.name)


@pytest.fixture
def timeout_seconds() -> float:
    return START_SECONDS


class TestKServe(ServingContract):
    """The contract on a cluster."""

    @pytest.fixture
    def broken(self, store: Store, servable: Servable, tmp_path: Path) -> tuple[Servable, str]:
        directory = tmp_path / "broken"
        tiny_llama.write_checkpoint(directory, seed=1, step=1)
        (directory / "config.json").write_text('{"model_type": "abacus"}')
        return replace(servable, location=store.put(directory, "broken")), "abacus"


def test_the_endpoint_answers_under_one_address_through_a_promotion(
    backend: KServe, servable: Servable
) -> None:
    addresses = []
    for digest in ("a" * 64, "b" * 64):
        served = backend.serve(replace(servable, digest=digest), timeout_seconds=START_SECONDS)
        with backend.exclusive("qa"):
            backend.route("qa", route_to(served))
        addresses.append(backend.address("qa"))
        request = {"model": "qa", "prompt": "Question: ", "max_tokens": 3}
        answer = httpx.post(f"{addresses[-1]}/v1/completions", json=request, timeout=60)
        assert answer.json()["usage"]["completion_tokens"] == 3
    assert len(set(addresses)) == 1


def test_an_endpoint_is_held_by_one_at_a_time(backend: KServe) -> None:
    with backend.exclusive("qa"), backend.exclusive("other"):
        pass
    with backend.exclusive("qa"):
        pass


def test_what_pods_cannot_read_is_refused(backend: KServe, servable: Servable) -> None:
    with pytest.raises(NeedsRepair, match="pods cannot read"):
        backend.serve(replace(servable, location="file:///models/x/"), timeout_seconds=5)


def test_a_missing_object_is_told_by_the_initializer(
    backend: KServe, servable: Servable, store: Store
) -> None:
    nowhere = replace(servable, location=f"s3://{store.bucket}/nowhere/")
    with pytest.raises(PermanentError, match="storage-initializer"):
        backend.serve(nowhere, timeout_seconds=START_SECONDS)


def test_a_slot_changed_by_hand_is_put_right(
    backend: KServe, servable: Servable, kubernetes: Kubernetes, site: Site
) -> None:
    from resources.kserve.manifests import slot_reference

    backend.serve(servable, timeout_seconds=START_SECONDS)
    reference = slot_reference(site, slot_name(servable.key, servable.digest))
    kubernetes.patch(reference, {"spec": {"predictor": {"minReplicas": 2}}})
    backend.serve(servable, timeout_seconds=START_SECONDS)
    found = kubernetes.get(reference)
    assert found is not None
    assert found["spec"]["predictor"]["minReplicas"] == 1
