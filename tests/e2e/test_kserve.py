"""The same flow on a real cluster: a dropped checkpoint is promoted on KServe and answers."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from minio import Minio

from cloud_assets.stages import STAGES
from examples import tiny_llama
from resources.kserve import KServe
from tests.doubles.clients import Clients
from tests.doubles.embedded_platform import MODEL, EmbeddedPlatform
from tests.doubles.kserve_platform import backend_of, platform_on
from tests.testbed.cluster import S3, Cluster

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(3600)]
PATIENCE_SECONDS = 400.0
KEYS = [f"{MODEL}.first.{step}" for step in (1, 2, 3)]
LEAST_REQUESTS, LEAST_CHANGES = 10_000, 3


@pytest.fixture(scope="module")
def on_cluster(
    cluster: Cluster, s3: S3, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedPlatform]:
    with platform_on(cluster, s3, tmp_path_factory.mktemp("home")) as platform:
        yield platform


@pytest.fixture(scope="module")
def backend(cluster: Cluster, on_cluster: EmbeddedPlatform) -> KServe:
    return backend_of(on_cluster, cluster)


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


def test_a_checkpoint_that_cannot_be_loaded_is_rejected_and_gone(
    on_cluster: EmbeddedPlatform, backend: KServe, tmp_path: Path
) -> None:
    before = [slot.key for slot in backend.slots()]
    draft = tmp_path / "checkpoint-1"
    tiny_llama.write_checkpoint(draft, seed=9, step=1)
    (draft / "config.json").write_text('{"model_type": "abacus"}')
    shutil.copytree(draft, on_cluster.directory("spoilt", 1))
    key = f"{MODEL}.spoilt.1"
    found = on_cluster.until_settled([key], PATIENCE_SECONDS)
    assert (found[key].state, "abacus" in found[key].reason) == ("rejected", True)
    assert [slot.key for slot in backend.slots()] == before
    assert on_cluster.answers()


def test_measuring_old_checkpoints_again_leaves_nothing_behind(
    on_cluster: EmbeddedPlatform, backend: KServe
) -> None:
    third = on_cluster.drop("first", 3, seed=3)
    on_cluster.until_settled([third], PATIENCE_SECONDS)
    before = [slot.key for slot in backend.slots()]
    ended = on_cluster.ai_how("bench", *KEYS, "--json", seconds=PATIENCE_SECONDS)
    assert ended.returncode == 0, ended.stderr
    assert [row["checkpoint"] for row in json.loads(ended.stdout)] == KEYS
    assert [slot.key for slot in backend.slots()] == before


def test_no_request_fails_while_champions_change_under_load(
    on_cluster: EmbeddedPlatform, backend: KServe
) -> None:
    """Through the stable Service and through the gateway; each change also takes a slot away."""
    stable, changes = backend.address(MODEL), 0
    addresses = [stable, stable, stable, on_cluster.settings.gateway_url]
    one_token = {"model": MODEL, "prompt": "Q", "max_tokens": 1}
    with Clients(addresses, one_token) as clients:
        while changes < LEAST_CHANGES or clients.answered < LEAST_REQUESTS:
            promoted = on_cluster.ai_how("promote", KEYS[changes % 3])
            assert promoted.returncode == 0, promoted.stderr
            changes += 1
    assert clients.failed == []
    assert clients.answered >= LEAST_REQUESTS
