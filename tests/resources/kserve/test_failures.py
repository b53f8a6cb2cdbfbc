"""What goes wrong on a cluster, caused for real: the right error, the right sentence, nothing left.

How long each is waited out is `test_patience`'s business: deadlines here are short.
"""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from resources.errors import DeadlineExceeded, NeedsRepair, PermanentError, TransientError
from resources.kserve import Bucket, KServe, Site, manifests, runtimes
from resources.kserve.names import PREDICTOR_LABEL, slot_name
from resources.kserve.runtimes import SERVERS, Server
from resources.kubernetes import Condition, Kind, Kubernetes, Object, Reference
from resources.serving import Servable, SlotState
from tests.resources.kserve.conftest import MLX, Store
from tests.resources.serving_contract import route_to
from tests.testbed.addons import kserve
from tests.testbed.cluster import Cluster

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(3600)]
START_SECONDS = 120.0
#: Where no registry listens, so that nothing is asked of the network.
ABSENT = "127.0.0.1:1/absent:1"


@pytest.fixture
def backend(kubernetes: Kubernetes, site: Site) -> KServe:
    return KServe(kubernetes, site)


@pytest.fixture
def candidate(servable: Servable) -> Servable:
    return replace(servable, key="QA.Run_1.200", digest="b" * 64)


def with_image(site: Site, **changes: Any) -> Site:
    return replace(site, runtimes={"mlx": replace(MLX, **changes)})


def until(look: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)


def nothing_is_left(backend: KServe) -> bool:
    return backend.slots() == ()


def pods(backend: KServe, servable: Servable) -> list[Object]:
    labels = {PREDICTOR_LABEL: slot_name(servable.key, servable.digest)}
    return backend.cluster.listed(
        Kind("v1", "Pod"), namespace=backend.site.namespace, labels=labels
    )


def applied(backend: KServe, kind: str, spec: Object, condition: str = "spec") -> Reference:
    """A policy of the namespace, in force."""
    about = {"name": "test", "namespace": backend.site.namespace}
    manifest = {"apiVersion": "v1", "kind": kind, "metadata": about, "spec": spec}
    reference = backend.cluster.apply(manifest).reference
    in_force = Condition("in force", lambda found: bool(found and found.get(condition)))
    backend.cluster.wait(reference, in_force, timeout_seconds=30)
    return reference


def test_an_image_that_is_not_there(kubernetes: Kubernetes, site: Site, servable: Servable) -> None:
    backend, told = KServe(kubernetes, with_image(site, image=ABSENT)), list[str]()
    with pytest.raises(NeedsRepair, match=f"cannot have its image {ABSENT}") as raised:
        backend.serve(servable, timeout_seconds=8, on_wait=told.append)
    assert "serving.cluster.runtimes" in (raised.value.hint or "")
    assert ABSENT in told[-1]
    assert nothing_is_left(backend)


def test_a_wrong_image_in_the_settings_leaves_what_serves_alone(
    backend: KServe, site: Site, servable: Servable, candidate: Servable
) -> None:
    champion = backend.serve(servable, timeout_seconds=START_SECONDS)
    [before] = pods(backend, servable)
    later = KServe(backend.cluster, with_image(site, image=ABSENT))
    with pytest.raises(NeedsRepair, match="image"):
        later.serve(candidate, timeout_seconds=6)
    again = later.serve(servable, timeout_seconds=START_SECONDS)
    [after] = pods(backend, servable)
    assert (again.slot, again.reused, again.mended) == (champion.slot, True, ())
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_a_runtime_that_nothing_has_any_more_is_deleted(
    backend: KServe, site: Site, servable: Servable
) -> None:
    backend.prepare()
    later = KServe(backend.cluster, with_image(site, image=ABSENT))
    changes = {change.outcome: change.reference.name for change in later.prepare()}
    assert changes == {
        "created": runtimes.runtime_name(later.site.runtimes["mlx"]),
        "deleted": runtimes.runtime_name(site.runtimes["mlx"]),
    }


def test_a_runtime_that_somebody_deleted_is_made_anew_by_the_next_try(
    backend: KServe, servable: Servable
) -> None:
    backend.prepare()
    name = runtimes.runtime_name(backend.site.runtimes["mlx"])
    backend.cluster.delete(
        Reference(runtimes.API_VERSION, runtimes.KIND, name, backend.site.namespace)
    )
    with pytest.raises(TransientError, match=name):
        backend.serve(servable, timeout_seconds=START_SECONDS)
    assert nothing_is_left(backend)
    assert backend.serve(servable, timeout_seconds=START_SECONDS).slot.state is SlotState.READY


def test_a_runtime_that_a_webhook_refuses(
    kubernetes: Kubernetes, site: Site, servable: Servable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(runtimes._ENVIRONMENT, "PYTHONPATH", "/somewhere")
    with pytest.raises(NeedsRepair, match="PYTHONPATH"):
        KServe(kubernetes, site).serve(servable, timeout_seconds=START_SECONDS)


def test_credentials_that_the_store_does_not_accept(
    kubernetes: Kubernetes, site: Site, servable: Servable
) -> None:
    bucket = replace(site.bucket, secret_key="not-the-secret")
    backend = KServe(kubernetes, replace(site, bucket=bucket))
    with pytest.raises(NeedsRepair, match="storage-initializer .* (403|Forbidden)") as raised:
        backend.serve(servable, timeout_seconds=START_SECONDS)
    assert "credentials" in (raised.value.hint or "")
    assert nothing_is_left(backend)


def test_credentials_that_nobody_made(
    kubernetes: Kubernetes, site: Site, servable: Servable
) -> None:
    secret = Reference("v1", "Secret", manifests.SECRET, site.namespace)
    kubernetes.delete(secret)
    backend = KServe(kubernetes, replace(site, bucket=Bucket(site.bucket.endpoint)))
    with pytest.raises(NeedsRepair, match=f'secrets "{manifests.SECRET}" not found'):
        backend.serve(servable, timeout_seconds=START_SECONDS)
    assert nothing_is_left(backend)


def test_a_bucket_that_is_gone(backend: KServe, servable: Servable) -> None:
    nowhere = replace(servable, location="s3://gone-with-all-its-objects/model/")
    with pytest.raises(NeedsRepair, match="storage-initializer .* (404|Not Found|not exist)"):
        backend.serve(nowhere, timeout_seconds=START_SECONDS)


def test_objects_that_are_gone(backend: KServe, servable: Servable, store: Store) -> None:
    nowhere = replace(servable, location=f"s3://{store.bucket}/gone/")
    with pytest.raises(NeedsRepair, match="No model found in gone/"):
        backend.serve(nowhere, timeout_seconds=START_SECONDS)


def test_a_quota_of_pods_that_is_used_up(backend: KServe, servable: Servable) -> None:
    backend.prepare()
    applied(backend, "ResourceQuota", {"hard": {"pods": "0"}}, "status")
    with pytest.raises(NeedsRepair, match="exceeded quota: test") as raised:
        backend.serve(servable, timeout_seconds=6)
    assert "ResourceQuota" in (raised.value.hint or "")


def test_a_quota_of_inference_services_that_is_used_up(backend: KServe, servable: Servable) -> None:
    backend.prepare()
    kinds = "count/inferenceservices.serving.kserve.io"
    applied(backend, "ResourceQuota", {"hard": {kinds: "0"}}, "status")
    with pytest.raises(NeedsRepair, match="exceeded quota: test"):
        backend.serve(servable, timeout_seconds=START_SECONDS)


def test_more_memory_than_any_node_has(
    kubernetes: Kubernetes, site: Site, servable: Servable
) -> None:
    backend = KServe(kubernetes, with_image(site, memory="9Ti"))
    with pytest.raises(DeadlineExceeded, match=r"no node takes pod .* Insufficient memory"):
        backend.serve(servable, timeout_seconds=5)
    assert nothing_is_left(backend)


@contextmanager
def cordoned(cluster: Cluster, *nodes: str) -> Iterator[None]:
    """Within, nothing new is placed on these nodes."""
    cluster.kubectl("cordon", *nodes)
    try:
        yield
    finally:
        cluster.kubectl("uncordon", *nodes)


def test_a_pod_without_a_node_is_waited_for_and_says_so_meanwhile(
    cluster: Cluster, backend: KServe, servable: Servable
) -> None:
    told = list[str]()
    with ThreadPoolExecutor() as pool:
        with cordoned(cluster, *cluster.nodes):
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


def test_a_candidate_whose_node_is_lost_is_told_so_and_taken_away_without_its_word(
    cluster: Cluster, second: str, backend: KServe, servable: Servable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(SERVERS, "mlx", Server(("sh", "-c", "sleep 600")))
    first = cluster.nodes[0]
    try:
        with cordoned(cluster, first), ThreadPoolExecutor() as pool:
            serving = pool.submit(backend.serve, servable, timeout_seconds=30)
            until(lambda: [each for each in pods(backend, servable) if _runs_on(each, second)])
            with cluster.without(second):
                with pytest.raises(
                    DeadlineExceeded, match=f"the node {second} of pod .* not ready"
                ):
                    serving.result()
                assert nothing_is_left(backend)
                assert pods(backend, servable) == []
    finally:
        cluster.kubectl.wait(f"node/{second}", "condition=Ready")


def _runs_on(pod: Object, node: str) -> bool:
    return bool(pod["spec"].get("nodeName") == node and pod["status"].get("phase") == "Running")


def test_a_server_that_needs_more_memory_than_its_limit(
    kubernetes: Kubernetes, site: Site, servable: Servable
) -> None:
    backend = KServe(kubernetes, with_image(site, memory="20Mi"))
    backend.prepare()
    limit = {"type": "Container", "default": {"memory": "40Mi"}}
    applied(backend, "LimitRange", {"limits": [limit]})
    with pytest.raises(NeedsRepair, match="kserve-container .* OOMKilled"):
        backend.serve(servable, timeout_seconds=START_SECONDS)
    assert nothing_is_left(backend)


def test_a_server_that_never_listens(
    backend: KServe, servable: Servable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SERVERS, "mlx", Server(("sh", "-c", "sleep 600")))
    with pytest.raises(DeadlineExceeded, match="Startup probe failed") as raised:
        backend.serve(servable, timeout_seconds=14)
    assert "serving.timeout_seconds" in (raised.value.hint or "")
    assert nothing_is_left(backend)


def test_a_server_that_is_never_healthy(
    backend: KServe, servable: Servable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SERVERS, "mlx", Server(("sh", "-c", "exec python3 -m http.server 8080")))
    with pytest.raises(PermanentError, match="statuscode: 404") as raised:
        backend.serve(servable, timeout_seconds=START_SECONDS)
    assert not isinstance(raised.value, NeedsRepair)
    assert nothing_is_left(backend)


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


@contextmanager
def without_controller(cluster: Cluster) -> Iterator[None]:
    """Within, KServe's controller and its webhooks are away."""
    where = ("-n", kserve.NAMESPACE)
    cluster.kubectl("scale", f"deployment/{kserve.DEPLOYMENT}", "--replicas=0", *where)
    cluster.kubectl.wait("pods", "delete", "--all", *where)
    try:
        yield
    finally:
        cluster.kubectl("scale", f"deployment/{kserve.DEPLOYMENT}", "--replicas=1", *where)
        cluster.kubectl.wait(f"deployment/{kserve.DEPLOYMENT}", "condition=Available", *where)


def test_without_kserves_controller_it_may_be_tried_again_and_what_serves_is_used(
    cluster: Cluster, site: Site, servable: Servable, candidate: Servable
) -> None:
    backend = KServe(Kubernetes(cluster.kubeconfig, retry_seconds=1), site)
    champion, told = backend.serve(servable, timeout_seconds=START_SECONDS), list[str]()
    with without_controller(cluster):
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


@pytest.mark.parametrize(
    "edit",
    [
        {"spec": {"selector": {PREDICTOR_LABEL: "another"}}},
        {"spec": {"selector": {"app": "mine"}}},
        {"metadata": {"annotations": {"ai-how/route": "{"}}},
    ],
    ids=json.dumps,
)
def test_an_endpoint_that_somebody_edited_counts_as_closed_and_is_put_right(
    backend: KServe, servable: Servable, edit: Object
) -> None:
    route = route_to(backend.serve(servable, timeout_seconds=START_SECONDS))
    backend.route("qa", route)
    backend.cluster.patch(manifests.endpoint_reference(backend.site, "qa"), edit)
    assert backend.routes() == {}
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
