"""What disturbs a cluster that serves: nodes, servers and controllers that go, hands that edit.

What fails by itself is `test_failures`' business.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from resources.errors import DeadlineExceeded, TransientError
from resources.kserve import KServe, Site, manifests
from resources.kserve.names import PREDICTOR_LABEL
from resources.kserve.runtimes import SERVERS, Server
from resources.kubernetes import Kubernetes, Object, Reference
from resources.serving import Servable, SlotState
from tests.resources.kserve.conftest import ABSENT, START_SECONDS, pods, with_image
from tests.resources.serving_contract import route_to
from tests.testbed.addons import kserve
from tests.testbed.cluster import Cluster
from tests.waiting import until

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(3600)]


@pytest.fixture
def backend(kubernetes: Kubernetes, site: Site) -> KServe:
    return KServe(kubernetes, site)


@pytest.mark.disruptive
def test_a_pod_without_a_node_is_waited_for_and_says_so_meanwhile(
    cluster: Cluster, backend: KServe, servable: Servable
) -> None:
    told = list[str]()
    with ThreadPoolExecutor() as pool:
        with cluster.kubectl.cordoned(*cluster.nodes):
            serving = pool.submit(
                backend.serve, servable, timeout_seconds=START_SECONDS, on_wait=told.append
            )
            until(lambda: any("unschedulable" in each for each in told))
        assert serving.result().slot.state is SlotState.READY
    assert "no node takes pod" in told[0]


@pytest.fixture
def second(cluster: Cluster) -> str:
    """A node that can be stopped."""
    if cluster.places is None or len(cluster.nodes) < 2:
        pytest.skip("the cluster is somebody else's, or has one node")
    return cluster.nodes[1]


@pytest.mark.disruptive
def test_a_candidate_whose_node_is_lost_is_told_so_and_taken_away_without_its_word(
    cluster: Cluster, second: str, backend: KServe, servable: Servable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(SERVERS, "mlx", Server(("sh", "-c", "while true; do sleep 1; done")))
    first = cluster.nodes[0]
    try:
        with cluster.kubectl.cordoned(first), ThreadPoolExecutor() as pool:
            serving = pool.submit(backend.serve, servable, timeout_seconds=30)
            until(lambda: [each for each in pods(backend, servable) if _runs_on(each, second)])
            with cluster.without(second):
                with pytest.raises(
                    DeadlineExceeded, match=f"the node {second} of pod .* not ready"
                ):
                    serving.result()
                assert backend.slots() == ()
                assert pods(backend, servable) == []
    finally:
        cluster.kubectl.wait(f"node/{second}", "condition=Ready")


def _runs_on(pod: Object, node: str) -> bool:
    return bool(pod["spec"].get("nodeName") == node and pod["status"].get("phase") == "Running")


@pytest.mark.disruptive
def test_a_start_outlives_a_restart_of_the_api_server(
    cluster: Cluster, second: str, backend: KServe, servable: Servable
) -> None:
    with ThreadPoolExecutor() as pool:
        serving = pool.submit(backend.serve, servable, timeout_seconds=START_SECONDS)
        until(lambda: pods(backend, servable))
        with cluster.without("kube-apiserver"):
            time.sleep(2)
        cluster.until_it_answers()
        assert serving.result().slot.state is SlotState.READY


@pytest.mark.disruptive
def test_without_kserves_controller_it_may_be_tried_again_and_what_serves_is_used(
    cluster: Cluster, site: Site, servable: Servable, candidate: Servable
) -> None:
    backend = KServe(Kubernetes(cluster.kubeconfig, retry_seconds=1), site)
    champion, told = backend.serve(servable, timeout_seconds=START_SECONDS), list[str]()
    with cluster.kubectl.scaled_down(kserve.DEPLOYMENT, kserve.NAMESPACE):
        with pytest.raises(TransientError, match="failed calling webhook"):
            backend.serve(candidate, timeout_seconds=START_SECONDS, on_wait=told.append)
        assert backend.serve(servable, timeout_seconds=20).slot == champion.slot
    assert "failed calling webhook" in told[-1]


def test_a_slot_that_somebody_edited_says_so_and_is_put_right(
    backend: KServe, servable: Servable
) -> None:
    served = backend.serve(servable, timeout_seconds=START_SECONDS)
    assert served.slot.altered == ""
    reference = manifests.slot_reference(backend.site, served.slot.name)
    backend.cluster.patch(reference, {"spec": {"predictor": {"model": {"args": ["other"]}}}})
    [slot] = backend.slots()
    assert slot.altered == ".spec.predictor.model.args[0]"
    again = backend.serve(servable, timeout_seconds=START_SECONDS)
    assert any("model.args" in each for each in again.mended)
    assert again.slot.altered == ""


def test_a_slot_whose_record_somebody_damaged_counts_as_gone_and_is_put_right(
    backend: KServe, servable: Servable
) -> None:
    served = backend.serve(servable, timeout_seconds=START_SECONDS)
    reference = manifests.slot_reference(backend.site, served.slot.name)
    backend.cluster.patch(reference, {"metadata": {"annotations": {"ai-how/serves": "{"}}})
    assert backend.slots() == ()
    assert backend.serve(servable, timeout_seconds=START_SECONDS).slot == served.slot


EDITS: tuple[Object, ...] = (
    {"spec": {"selector": {PREDICTOR_LABEL: "another"}}},
    {"spec": {"selector": {"app": "mine"}}},
    {"metadata": {"annotations": {"ai-how/route": "{"}}},
)


def test_an_endpoint_that_somebody_edited_counts_as_closed_and_is_put_right(
    backend: KServe, servable: Servable
) -> None:
    route = route_to(backend.serve(servable, timeout_seconds=START_SECONDS))
    for edit in EDITS:
        backend.route("qa", route)
        assert backend.routes() == {"qa": route}
        backend.cluster.patch(manifests.endpoint_reference(backend.site, "qa"), edit)
        assert backend.routes() == {}, edit
    backend.route("qa", route)
    assert backend.routes() == {"qa": route}


def test_a_start_that_was_cut_off_is_taken_up(backend: KServe, servable: Servable) -> None:
    backend.prepare()
    backend.cluster.apply(manifests.inference_service(servable, backend.site))
    served = backend.serve(servable, timeout_seconds=START_SECONDS)
    assert (served.reused, served.slot.state) == (False, SlotState.READY)
    assert len(backend.slots()) == 1


def test_a_start_that_was_cut_off_under_other_settings_goes_on_under_these(
    backend: KServe, site: Site, servable: Servable
) -> None:
    mistaken = KServe(backend.cluster, with_image(site, image=ABSENT))
    mistaken.prepare()
    backend.cluster.apply(manifests.inference_service(servable, mistaken.site))
    until(lambda: pods(backend, servable))
    assert backend.serve(servable, timeout_seconds=START_SECONDS).slot.state is SlotState.READY


def test_what_has_been_up_goes_on_as_it_was_started_though_the_settings_are_wrong_now(
    backend: KServe, site: Site, servable: Servable
) -> None:
    backend.serve(servable, timeout_seconds=START_SECONDS)
    [before] = pods(backend, servable)
    backend.cluster.delete(Reference.of({**before, "apiVersion": "v1", "kind": "Pod"}))
    until(lambda: backend.slots()[0].state is SlotState.STARTING)
    mistaken = KServe(backend.cluster, with_image(site, image=ABSENT))
    served = mistaken.serve(servable, timeout_seconds=START_SECONDS)
    assert (served.slot.state, served.mended) == (SlotState.READY, ())
