"""What goes wrong on a cluster, through the whole platform: told, survived, and made good.

Each test leaves a champion that answers, and needs one; what is told of each trouble in detail is
the business of `tests/resources/kserve`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from cloud_assets.stages import ENDPOINT_JOB, INFERENCE_SERVICE
from resources.kserve import KServe, manifests
from resources.kserve.names import PREDICTOR_LABEL
from resources.kubernetes import Kind
from tests.doubles.embedded_platform import MODEL, EmbeddedPlatform
from tests.doubles.kserve_platform import (
    PATIENCE_SECONDS,
    answering,
    backend_of,
    platform_on,
    policy,
    serves,
    told,
)
from tests.testbed import pins
from tests.testbed.addons import kserve
from tests.testbed.cluster import S3, Cluster

pytestmark = [pytest.mark.testbed, pytest.mark.disruptive, pytest.mark.timeout(3600)]
#: Where no registry listens, so that nothing is asked of the network.
ABSENT = "127.0.0.1:1/absent:1"


@pytest.fixture(scope="module")
def platform(
    cluster: Cluster, s3: S3, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedPlatform]:
    """With a champion."""
    with platform_on(cluster, s3, tmp_path_factory.mktemp("home")) as started:
        key = started.drop("first", seed=1)
        serves(started, key)
        yield started


@pytest.fixture
def backend(cluster: Cluster, platform: EmbeddedPlatform) -> KServe:
    return backend_of(platform, cluster)


@pytest.fixture
def second(cluster: Cluster) -> str:
    """A node that can be stopped."""
    if cluster.places is None or len(cluster.nodes) < 2:
        pytest.skip("the cluster is somebody else's, or has one node")
    return cluster.nodes[1]


def test_a_run_whose_worker_is_killed_while_its_candidate_starts_is_taken_up(
    platform: EmbeddedPlatform, backend: KServe
) -> None:
    with answering(backend):
        key = platform.drop("killed", seed=2)
        platform.until(lambda: [each for each in backend.slots() if each.key == key])
        worker = platform.runs(key)[0].tags["ai-how/worker"]
        psutil.Process(int(worker.partition(":")[0])).kill()
        serves(platform, key)
    assert len(platform.runs(key)) == 2
    assert len([each for each in backend.slots() if each.key == key]) == 1


def test_without_kserves_controller_a_run_waits_and_says_so_and_goes_on_once_it_is_back(
    platform: EmbeddedPlatform, backend: KServe, cluster: Cluster
) -> None:
    with answering(backend):
        with cluster.kubectl.scaled_down(kserve.DEPLOYMENT, kserve.NAMESPACE):
            key = platform.drop("controller", seed=3)
            told(platform, key, "running", "failed calling webhook")
            assert "failed calling webhook" in platform.ai_how("checkpoints").stdout
        serves(platform, key)
    assert len(platform.runs(key)) == 1


def test_a_run_outlives_a_restart_of_the_api_server(
    platform: EmbeddedPlatform, backend: KServe, cluster: Cluster, second: str
) -> None:
    with answering(backend):
        key = platform.drop("restart", seed=4)
        platform.until_stage(key, INFERENCE_SERVICE)
        with cluster.without("kube-apiserver"):
            pass
        cluster.until_it_answers()
        serves(platform, key)
    assert len(platform.runs(key)) == 1


def drift_said(platform: EmbeddedPlatform, words: str) -> bool:
    """Whether Dagster has a run that converged for this reason and came to its end."""
    runs = [run for run in platform.graph.runs() if run.job == ENDPOINT_JOB]
    return any(
        words in run.tags.get("ai-how/drift", "") and run.status == "SUCCESS" for run in runs
    )


def test_an_inference_service_edited_by_hand_is_put_right(
    platform: EmbeddedPlatform, backend: KServe
) -> None:
    [champion] = [each for each in backend.slots() if each.key == platform.champion()]
    reference = manifests.slot_reference(backend.site, champion.name)
    backend.cluster.patch(reference, {"spec": {"predictor": {"minReplicas": 2}}})
    platform.until(lambda: drift_said(platform, "changed the champion's model server"))
    found = backend.cluster.get(reference)
    assert found is not None
    assert found["spec"]["predictor"]["minReplicas"] == 1
    platform.until(platform.answers)


def test_an_endpoint_edited_by_hand_is_put_right(
    platform: EmbeddedPlatform, backend: KServe
) -> None:
    reference = manifests.endpoint_reference(backend.site, MODEL)
    backend.cluster.patch(reference, {"spec": {"selector": {PREDICTOR_LABEL: "another"}}})
    platform.until(lambda: drift_said(platform, "behind the endpoint is nothing"))
    platform.until(platform.answers)
    assert backend.routes()[MODEL].key == platform.champion()


@contextmanager
def changed(platform: EmbeddedPlatform, setting: str, other: str) -> Iterator[None]:
    """Within, the settings have the other line, in force by a restart."""
    text = platform.file.read_text("utf-8")
    assert setting in text

    def put(content: str) -> None:
        platform.supervisor.shutdown()
        platform.file.write_text(content, "utf-8")
        platform.up()

    put(text.replace(setting, other))
    try:
        yield
    finally:
        put(text)


def test_a_wrong_image_holds_the_candidate_and_leaves_the_champion_alone(
    platform: EmbeddedPlatform, backend: KServe
) -> None:
    champion = platform.champion()
    with answering(backend):
        with changed(platform, pins.MLX_IMAGE, ABSENT):
            key = platform.drop("image", seed=5)
            told(platform, key, "running", ABSENT)
            told(platform, key, "held", ABSENT)
            assert ABSENT in platform.ai_how("checkpoints").stdout
            assert "serving.cluster.runtimes" in platform.progress()[key].fix
            assert platform.releases(key)[0].metadata["outcome"] == "held"
            assert platform.champion() == champion
            assert key not in [each.key for each in backend.slots()]
        serves(platform, key)


def test_a_used_up_quota_holds_the_candidate_until_there_is_more(
    platform: EmbeddedPlatform, backend: KServe
) -> None:
    with answering(backend):
        with policy(backend, "ResourceQuota", {"hard": {"requests.cpu": "1m"}}):
            key = platform.drop("quota", seed=7)
            told(platform, key, "running", "exceeded quota: policy")
            told(platform, key, "held", "exceeded quota: policy")
            assert "ResourceQuota" in platform.progress()[key].fix
            assert platform.releases(key)[0].metadata["outcome"] == "held"
        serves(platform, key)


def test_a_candidate_that_is_short_of_memory_is_held_until_it_may_have_more(
    platform: EmbeddedPlatform, backend: KServe
) -> None:
    limit = {"type": "Container", "default": {"memory": "40Mi"}}
    with answering(backend):
        with (
            policy(backend, "LimitRange", {"limits": [limit]}),
            changed(platform, "memory: 256Mi", "memory: 20Mi"),
        ):
            key = platform.drop("memory", seed=8)
            told(platform, key, "held", "OOMKilled")
            assert "memory limit" in platform.progress()[key].fix
        serves(platform, key)


def test_a_candidate_that_no_node_takes_says_so_and_goes_on_once_one_does(
    platform: EmbeddedPlatform, backend: KServe, cluster: Cluster
) -> None:
    with answering(backend):
        with cluster.kubectl.cordoned(*cluster.nodes):
            key = platform.drop("cordoned", seed=9)
            told(platform, key, "running", "unschedulable")
        serves(platform, key)
    assert len(platform.runs(key)) == 1


def where_it_runs(backend: KServe, key: str) -> set[str]:
    """The nodes of the pods that serve the checkpoint and are not on their way out."""
    [slot] = [each for each in backend.slots() if each.key == key]
    pods = backend.cluster.listed(
        Kind("v1", "Pod"), namespace=backend.site.namespace, labels={PREDICTOR_LABEL: slot.name}
    )
    living = [each for each in pods if "deletionTimestamp" not in each["metadata"]]
    return {str(each["spec"].get("nodeName", "")) for each in living}


def test_a_champion_whose_node_is_lost_comes_back_on_another(
    platform: EmbeddedPlatform, backend: KServe, cluster: Cluster, second: str
) -> None:
    first = cluster.nodes[0]
    with cluster.kubectl.cordoned(first):
        key = platform.drop("lost", seed=6)
        serves(platform, key)
    assert where_it_runs(backend, key) == {second}

    def reason() -> str:
        return next(each.reason for each in backend.slots() if each.key == key)

    try:
        with cluster.without(second):
            platform.until(lambda: f"the node {second} of pod" in reason())
            platform.until(lambda: where_it_runs(backend, key) == {first})
            platform.until(platform.answers, PATIENCE_SECONDS)
    finally:
        cluster.kubectl.wait(f"node/{second}", "condition=Ready")
    assert platform.champion() == key
