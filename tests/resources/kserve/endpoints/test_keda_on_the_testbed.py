"""A real KEDA that scales an endpoint's pods by what a real Prometheus asked of them.

The model servers are doubles: no GPU is here, so they count and time requests as vLLM does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from resources.kserve import KServe, RuntimeImage, Scaling, Site
from resources.kserve.endpoints import autoscaler_references
from resources.kserve.names import predictor_name
from resources.kserve.survey import Observation, survey
from resources.kubernetes import Kubernetes, Object, Reference
from resources.serving import Servable
from tests.resources.kserve.endpoints.test_scaling import load, pods, routed, until
from tests.testbed import pins
from tests.testbed.addons import keda, prometheus
from tests.testbed.addons.prometheus import Prometheus
from tests.testbed.build import images
from tests.testbed.cluster import Cluster
from tests.testbed.run.node_images import on_nodes

pytestmark = [pytest.mark.testbed, pytest.mark.disruptive]
RUNTIME = "vllm-cpu"
BY_REQUESTS = Scaling(most=3, running_requests=1.5, ttft_p95=60, down_after_seconds=5)
BY_FIRST_TOKEN = Scaling(most=3, ttft_p95=0.12, down_after_seconds=5)


@pytest.fixture(scope="module")
def kept(cluster: Cluster) -> Iterator[Prometheus]:
    """KEDA, a Prometheus and the image of the model servers, on a testbed of ours."""
    if cluster.places is None:
        pytest.skip("its nodes get images that no registry has")
    with (
        on_nodes(cluster.places, cluster.nodes, images.vllm_double()),
        keda.installed(cluster),
        prometheus.installed(cluster) as found,
    ):
        yield found


@pytest.fixture
def vllm_site(kept: Prometheus, site: Site) -> Site:
    image = RuntimeImage(RUNTIME, pins.VLLM_DOUBLE_IMAGE, memory="64Mi")
    return replace(site, runtimes={RUNTIME: image})


@pytest.fixture
def vllm(servable: Servable) -> Servable:
    return replace(servable, runtime=RUNTIME)


@contextmanager
def serving(kubernetes: Kubernetes, site: Site, scaling: Scaling, url: str) -> Iterator[KServe]:
    made = KServe(kubernetes, replace(site, scaling=replace(scaling, prometheus=url)))
    yield made
    made.route("qa", None)
    for slot in made.slots():
        made.release(slot.name)


@pytest.fixture
def by_requests(kubernetes: Kubernetes, vllm_site: Site, kept: Prometheus) -> Iterator[KServe]:
    with serving(kubernetes, vllm_site, BY_REQUESTS, kept.url) as made:
        yield made


@pytest.fixture
def by_first_token(kubernetes: Kubernetes, vllm_site: Site, kept: Prometheus) -> Iterator[KServe]:
    with serving(kubernetes, vllm_site, BY_FIRST_TOKEN, kept.url) as made:
        yield made


def scaled_object(backend: KServe) -> Object | None:
    [reference] = [
        each for each in autoscaler_references("qa", backend.site) if each.kind == "ScaledObject"
    ]
    return backend.cluster.get(reference)


def autoscaler(backend: KServe) -> Object | None:
    """The HorizontalPodAutoscaler that KEDA made."""
    name = ((scaled_object(backend) or {}).get("status") or {}).get("hpaName")
    kind = ("autoscaling/v2", "HorizontalPodAutoscaler")
    return backend.cluster.get(Reference(*kind, name, backend.site.namespace)) if name else None


def looked_at(backend: KServe) -> Observation:
    [found] = [each for each in survey(backend.cluster, backend.site) if each.what == "autoscaling"]
    return found


def test_one_pod_becomes_three_under_load_and_one_again(by_requests: KServe, vllm: Servable) -> None:
    served = routed(by_requests, vllm)
    with load(by_requests.address("qa")):
        until(lambda: pods(by_requests, served) == 3, "three pods")
    until(lambda: pods(by_requests, served) == 1, "one pod")


def test_late_first_tokens_bring_pods_and_silence_takes_them(
    by_first_token: KServe, vllm: Servable
) -> None:
    served = routed(by_first_token, vllm)
    with load(by_first_token.address("qa")):
        until(lambda: pods(by_first_token, served) == 3, "three pods")
    until(lambda: pods(by_first_token, served) == 1, "one pod")
