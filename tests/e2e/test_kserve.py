"""The same flow on a real cluster: a dropped checkpoint is promoted on KServe and answers."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from minio import Minio

from cloud_assets.stages import STAGES
from resources.kserve import KServe, Site
from resources.kubernetes import Kubernetes
from tests.doubles.embedded_platform import MODEL, EmbeddedPlatform
from tests.testbed import pins
from tests.testbed.cluster import S3, Cluster

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(3600)]
PATIENCE_SECONDS = 400.0


@pytest.fixture(scope="module")
def on_cluster(
    cluster: Cluster, s3: S3, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedPlatform]:
    """A platform whose store is S3 and whose model servers are pods."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    host = s3.endpoint.removeprefix("http://")
    Minio(host, s3.access_key, s3.secret_key, secure=False).make_bucket(name)
    runtime = {"image": pins.MLX_IMAGE, "cpu": "100m", "memory": "256Mi"}
    changes = {
        "store": {"url": f"s3://{name}/platform", "endpoint": s3.endpoint},
        "kubernetes": {"kubeconfig": str(cluster.kubeconfig)},
        "serving": {
            "timeout_seconds": 200,
            "cluster": {"namespace": name, "runtimes": {"mlx": runtime}},
        },
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
        platform = EmbeddedPlatform(tmp_path_factory.mktemp("home"), changes)
        try:
            platform.up()
            yield platform
        finally:
            platform.down()
            cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="module")
def backend(cluster: Cluster, on_cluster: EmbeddedPlatform) -> KServe:
    """A view of what the platform made there."""
    serving = on_cluster.settings.serving.cluster
    assert serving is not None
    return KServe(Kubernetes(cluster.kubeconfig), Site(serving.namespace, {}))


def test_a_dropped_checkpoint_goes_through_all_stages_in_one_run(
    on_cluster: EmbeddedPlatform,
) -> None:
    key = on_cluster.drop("first", 1, seed=1)
    found = on_cluster.until_settled([key], PATIENCE_SECONDS)
    [run] = on_cluster.runs(key)
    ended = {step.name for step in run.steps if step.status == "SUCCESS"}
    assert found[key].state == "serving"
    assert ended >= set(STAGES)


def test_it_answers_under_the_stable_address_and_through_the_gateway(
    on_cluster: EmbeddedPlatform, backend: KServe
) -> None:
    request = {"model": MODEL, "prompt": "Question: ", "max_tokens": 2}
    answer = httpx.post(f"{backend.address(MODEL)}/v1/completions", json=request, timeout=60)
    assert answer.json()["choices"]
    assert on_cluster.answers()


def test_the_next_one_takes_its_place_and_the_former_stays_warm(
    on_cluster: EmbeddedPlatform, backend: KServe
) -> None:
    before = backend.address(MODEL)
    key = on_cluster.drop("first", 2, seed=2)
    on_cluster.until_settled([key], PATIENCE_SECONDS)
    assert backend.routes()[MODEL].key == key
    assert backend.address(MODEL) == before
    assert sorted(slot.key for slot in backend.slots()) == [f"{MODEL}.first.1", key]


def test_a_rollback_is_the_same_switch_back(on_cluster: EmbeddedPlatform, backend: KServe) -> None:
    ended = on_cluster.ai_how("rollback", MODEL, "--reason", "to see it move")
    assert ended.returncode == 0, ended.stderr
    assert backend.routes()[MODEL].key == f"{MODEL}.first.1"
    assert on_cluster.answers()


def test_an_inference_service_deleted_by_hand_comes_back(
    on_cluster: EmbeddedPlatform, backend: KServe
) -> None:
    [champion] = [each.name for each in backend.slots() if each.key == f"{MODEL}.first.1"]
    backend.release(champion)

    def is_back() -> bool:
        return any(each.name == champion and not each.reason for each in backend.slots())

    on_cluster.until(is_back, PATIENCE_SECONDS)
    on_cluster.until(on_cluster.answers, PATIENCE_SECONDS)


def test_reports_are_in_the_bucket(on_cluster: EmbeddedPlatform, s3: S3) -> None:
    bucket = str(on_cluster.settings.store.url).split("/")[2]
    client = Minio(s3.endpoint.removeprefix("http://"), s3.access_key, s3.secret_key, secure=False)
    names = {
        Path(str(each.object_name)).name for each in client.list_objects(bucket, recursive=True)
    }
    assert {"report.html", "quality.json", "benchmark.json", "manifest.json"} <= names
