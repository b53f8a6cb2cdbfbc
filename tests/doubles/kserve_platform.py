"""A whole platform whose store is S3 and whose model servers are pods of a real cluster."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from minio import Minio

from resources.kserve import KServe, Site
from resources.kubernetes import Kubernetes
from tests.doubles.clients import Clients
from tests.doubles.embedded_platform import MODEL, EmbeddedPlatform
from tests.testbed import pins
from tests.testbed.cluster import S3, Cluster


@contextmanager
def platform_on(cluster: Cluster, s3: S3, home: Path) -> Iterator[EmbeddedPlatform]:
    """It is up; behind, its namespace goes, and its processes with it."""
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
