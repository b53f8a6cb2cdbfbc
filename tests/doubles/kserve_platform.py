"""A whole platform whose store is S3 and whose model servers are pods of a real cluster."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from minio import Minio

from cloud_assets.cli.progress import Progress
from cloud_assets.stages import PARTITION_TAG, RELEASE_JOB
from resources.kserve import KServe, Site
from resources.kubernetes import Kubernetes, Object
from tests.doubles.clients import Clients
from tests.doubles.embedded_platform import MODEL, EmbeddedPlatform
from tests.testbed import pins
from tests.testbed.cluster import S3, Cluster

PATIENCE_SECONDS = 200.0


@contextmanager
def platform_on(
    cluster: Cluster, s3: S3, home: Path, *, timeout_seconds: int = 200, cpu: str = "100m"
) -> Iterator[EmbeddedPlatform]:
    """It is up; behind, its namespace goes, and its processes with it."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    host = s3.endpoint.removeprefix("http://")
    Minio(host, s3.access_key, s3.secret_key, secure=False).make_bucket(name)
    runtime = {"image": pins.MLX_IMAGE, "cpu": cpu, "memory": "256Mi"}
    changes = {
        "store": {"url": f"s3://{name}/platform", "endpoint": s3.endpoint},
        "kubernetes": {"kubeconfig": str(cluster.kubeconfig)},
        "serving": {
            "timeout_seconds": timeout_seconds,
            "cluster": {"namespace": name, "runtimes": {"mlx": runtime}},
        },
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
        platform = EmbeddedPlatform(home, changes)
        try:
            platform.up()
            yield platform
        finally:
            platform.down()
            cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


def backend_of(platform: EmbeddedPlatform, cluster: Cluster) -> KServe:
    """A view of what the platform made there."""
    serving = platform.settings.serving.cluster
    assert serving is not None
    return KServe(Kubernetes(cluster.kubeconfig), Site(serving.namespace, {}))


@contextmanager
def answering(backend: KServe) -> Iterator[None]:
    """Within, the endpoint answers every time that it is asked; raises AssertionError else."""
    request = {"model": MODEL, "prompt": "Question: ", "max_tokens": 1}
    with Clients([backend.address(MODEL)], request, pause_seconds=0.2) as clients:
        yield
    assert clients.failed == [], clients.failed[:5]
    assert clients.answered


def serves(platform: EmbeddedPlatform, key: str) -> None:
    """The checkpoint is promoted in the end, once, and answers."""
    platform.until(lambda: (platform.served() or ("",))[0] == key, PATIENCE_SECONDS)
    found = platform.until_settled([key])
    assert found[key].state == "serving"
    assert len(platform.promotions(key)) == 1
    platform.until(platform.answers)


def told(platform: EmbeddedPlatform, key: str, state: str, words: str) -> Progress:
    """Wait until `ai-how checkpoints` says the words of the checkpoint in that state."""

    def said() -> Progress | None:
        found = platform.progress().get(key)
        return found if found and found.state == state and words in found.reason else None

    return platform.until(said, PATIENCE_SECONDS)


def again(platform: EmbeddedPlatform, key: str) -> None:
    """Ask for another run of the checkpoint, as a person does who has mended what held it.

    Unless the platform, which tries it again after a while by itself, has come to that already.
    """
    if not platform.active_runs([key]):
        platform.graph.submit(RELEASE_JOB, tags={PARTITION_TAG: key})


@contextmanager
def policy(backend: KServe, kind: str, spec: Object) -> Iterator[None]:
    """Within, the namespace has it."""
    about = {"name": "policy", "namespace": backend.site.namespace}
    manifest = {"apiVersion": "v1", "kind": kind, "metadata": about, "spec": spec}
    reference = backend.cluster.apply(manifest).reference
    try:
        yield
    finally:
        backend.cluster.delete(reference)
