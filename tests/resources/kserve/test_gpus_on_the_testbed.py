"""Serving on nodes with GPUs, on a cluster where one node says that it has one."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from resources.errors import DeadlineExceeded
from resources.kserve import KServe, Site
from resources.kserve.names import PREDICTOR_LABEL, slot_name
from resources.kubernetes import Kind, Kubernetes, Object
from resources.serving import Servable
from tests.resources.kserve.conftest import MLX
from tests.testbed import gpus
from tests.testbed.cluster import Cluster

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(900)]
START_SECONDS = 240.0
#: Long enough for the scheduler to say no.
PENDING_SECONDS = 12.0


@pytest.fixture
def gpu_node(cluster: Cluster) -> Iterator[str]:
    with gpus.advertised(cluster) as name:
        yield name


@pytest.fixture
def backend(kubernetes: Kubernetes, site: Site) -> Iterator[KServe]:
    """Its model server needs no GPU; that it asks for one is what counts here."""
    made = KServe(kubernetes, replace(site, runtimes={"mlx": replace(MLX, gpus=1)}))
    yield made
    for slot in made.slots():
        made.release(slot.name)


def pods(backend: KServe, servable: Servable) -> list[Object]:
    label = {PREDICTOR_LABEL: slot_name(servable.key, servable.digest)}
    return backend.cluster.listed(Kind("v1", "Pod"), namespace=backend.site.namespace, labels=label)


def test_one_model_has_the_gpu_and_the_next_is_told_which_pod_that_is(
    backend: KServe, servable: Servable, gpu_node: str
) -> None:
    backend.serve(servable, timeout_seconds=START_SECONDS)
    [holder] = pods(backend, servable)
    assert holder["spec"]["nodeName"] == gpu_node
    with pytest.raises(DeadlineExceeded) as caught:
        backend.serve(replace(servable, digest="b" * 64), timeout_seconds=PENDING_SECONDS)
    about = holder["metadata"]
    assert caught.value.reason.endswith(
        f": no free nvidia.com/gpu: pod {about['namespace']}/{about['name']} "
        f"holds 1 of 1 on {gpu_node}"
    )
    assert [slot.digest for slot in backend.slots()] == [servable.digest]


def test_without_a_node_that_has_one_this_is_the_reason(
    backend: KServe, servable: Servable
) -> None:
    with pytest.raises(DeadlineExceeded, match=r"no node has any nvidia\.com/gpu"):
        backend.serve(servable, timeout_seconds=PENDING_SECONDS)


def test_a_pod_that_wants_no_gpu_stays_off_the_node(
    kubernetes: Kubernetes, site: Site, servable: Servable, gpu_node: str
) -> None:
    plain = KServe(kubernetes, site)
    plain.serve(servable, timeout_seconds=START_SECONDS)
    try:
        [pod] = pods(plain, servable)
        assert pod["spec"]["nodeName"] != gpu_node
    finally:
        plain.release(slot_name(servable.key, servable.digest))
