"""A real KEDA that scales an endpoint's pods by what a real Prometheus asked of them.

The model servers are doubles: no GPU is here, so they count and time requests as vLLM does.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from resources.errors import PermanentError
from resources.kserve import KServe, RuntimeImage, Scaling, Site
from resources.kserve.endpoints.scaling import HPA, SCALED_OBJECT, autoscaler
from resources.kserve.survey import Observation, survey
from resources.kubernetes import Kubernetes, Object
from resources.serving import Servable, SlotState
from tests.resources.kserve.endpoints.test_scaling import (
    START_SECONDS,
    deployment,
    load,
    pods,
    routed,
    until,
)
from tests.resources.serving_contract import route_to
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
BY_CPU = Scaling(most=3, cpu_percent=80)

#: A backend whose endpoints scale so.
Serving = Callable[[Scaling | None], KServe]


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


@pytest.fixture
def serving(kubernetes: Kubernetes, vllm_site: Site, kept: Prometheus) -> Iterator[Serving]:
    """Backends on one site, by how their endpoints scale; what they made goes."""
    made: list[KServe] = []

    def on(scaling: Scaling | None) -> KServe:
        asked = scaling and replace(scaling, prometheus="" if scaling.cpu_percent else kept.url)
        made.append(KServe(kubernetes, replace(vllm_site, scaling=asked)))
        return made[-1]

    yield on
    for backend in made:
        backend.route("qa", None)
        for slot in backend.slots():
            backend.release(slot.name)


def autoscalers(backend: KServe) -> dict[str, Object]:
    """All in the namespace by their kinds, those that KEDA made among them."""
    found = [
        each
        for kind in (HPA, SCALED_OBJECT)
        for each in backend.cluster.listed(kind, namespace=backend.site.namespace)
    ]
    assert len({each["kind"] for each in found}) == len(found)
    return {each["kind"]: each for each in found}


def target(backend: KServe) -> str:
    """Which Deployment KEDA's autoscaler scales."""
    found = autoscalers(backend).get(HPA.kind)
    return str(found["spec"]["scaleTargetRef"]["name"]) if found else ""


def looked_at(backend: KServe) -> Observation:
    """What `ai-how doctor` says of the autoscalers."""
    *_, found = (each for each in survey(backend.cluster, backend.site) if "scaling" in each.what)
    return found


@pytest.mark.parametrize("scaling", [BY_REQUESTS, BY_FIRST_TOKEN], ids=["requests", "first token"])
def test_one_pod_becomes_three_under_load_and_one_again(
    serving: Serving, vllm: Servable, scaling: Scaling
) -> None:
    backend = serving(scaling)
    served = routed(backend, vllm)
    with load(backend.address("qa")):
        until(lambda: pods(backend, served) == 3, "three pods")
    until(lambda: pods(backend, served) == 1, "one pod")
    well = Observation("autoscaling", True, "1 of 1 endpoints")
    until(lambda: looked_at(backend) == well, "that all is well")


def test_the_autoscaler_moves_to_the_champion_and_its_former_pods_go(
    serving: Serving, vllm: Servable
) -> None:
    backend = serving(BY_REQUESTS)
    former = routed(backend, vllm)
    until(lambda: target(backend) == deployment(backend, former).name, "the autoscaler of KEDA")
    many = {"spec": {"replicas": 2}}
    backend.cluster.patch(deployment(backend, former), many, subresource="scale")
    champion = routed(backend, replace(vllm, digest="b" * 64))
    until(lambda: target(backend) == deployment(backend, champion).name, "its move")
    until(lambda: pods(backend, former) == 1, "one pod of the former champion")


def test_while_prometheus_is_away_pods_stay_and_it_is_told(
    serving: Serving, vllm: Servable, kept: Prometheus, cluster: Cluster
) -> None:
    backend = serving(BY_REQUESTS)
    served = routed(backend, vllm)
    unread = f": KEDA cannot ask {kept.url}: dial tcp "
    with load(backend.address("qa")):
        until(lambda: pods(backend, served) == 3, "three pods")
        with cluster.kubectl.scaled_down(prometheus.DEPLOYMENT, kept.namespace):
            until(lambda: unread in looked_at(backend).found, "that it is told")
            assert pods(backend, served) == 3
    until(lambda: pods(backend, served) == 1, "one pod")
    until(lambda: looked_at(backend).well, "that it is mended")


def test_keda_refuses_what_has_another_autoscaler(serving: Serving, vllm: Servable) -> None:
    """So a former one must go first."""
    by_cpu, by_requests = serving(BY_CPU), serving(BY_REQUESTS)
    served = routed(by_cpu, vllm)
    manifest = autoscaler("qa", route_to(served), by_requests.site)
    assert manifest is not None
    with pytest.raises(PermanentError, match="is already managed by the hpa 'endpoint-qa-"):
        by_requests.cluster.apply(manifest)


def test_other_settings_leave_nothing_of_keda_behind(serving: Serving, vllm: Servable) -> None:
    served = routed(serving(BY_CPU), vllm)
    assert list(autoscalers(serving(BY_CPU))) == [HPA.kind]
    with_keda = serving(BY_REQUESTS)
    with_keda.route("qa", route_to(served))
    until(lambda: set(autoscalers(with_keda)) == {HPA.kind, SCALED_OBJECT.kind}, "KEDA's")
    without = serving(None)
    without.route("qa", route_to(served))
    until(lambda: autoscalers(without) == {}, "none")


def test_further_pods_that_find_no_node_leave_the_champion_up(
    serving: Serving, vllm: Servable, cluster: Cluster
) -> None:
    """One node has no room for two of these."""
    cores = min(int(each["status"]["allocatable"]["cpu"]) for each in nodes(cluster))
    large = RuntimeImage(RUNTIME, pins.VLLM_DOUBLE_IMAGE, memory="64Mi", cpu=f"{cores * 600}m")
    small = serving(None)
    backend = KServe(small.cluster, replace(small.site, runtimes={RUNTIME: large}))
    served = routed(backend, vllm)
    many = {"spec": {"replicas": len(cluster.nodes) + 1}}
    backend.cluster.patch(deployment(backend, served), many, subresource="scale")
    until(lambda: pods(backend, served) == len(cluster.nodes), "a pod on each node")
    assert [slot.state for slot in backend.slots()] == [SlotState.READY]
    assert backend.serve(vllm, timeout_seconds=START_SECONDS).reused


def nodes(cluster: Cluster) -> list[Object]:
    found: list[Object] = cluster.kubectl.get("nodes")["items"]
    return found
