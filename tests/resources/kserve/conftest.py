"""A site on the testbed: a namespace, a bucket and credentials of one test's own."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from minio import Minio

from examples import tiny_llama
from resources.kserve import Bucket, KServe, RuntimeImage, Site
from resources.kserve.names import PREDICTOR_LABEL, slot_name
from resources.kubernetes import Kind, Kubernetes, Object
from resources.serving import Servable
from tests.testbed import pins
from tests.testbed.cluster import S3, Cluster

MLX = RuntimeImage("mlx", pins.MLX_IMAGE, memory="256Mi")
START_SECONDS = 120.0
#: Where no registry listens, so that nothing is asked of the network.
ABSENT = "127.0.0.1:1/absent:1"


@dataclass(frozen=True)
class Store:
    """The bucket that a site's checkpoints are in."""

    client: Minio
    bucket: str

    def put(self, directory: Path, name: str) -> str:
        """Publish the files of a directory; their location as a backend takes it."""
        for path in directory.iterdir():
            if path.suffix in {".json", ".safetensors", ".jinja"}:
                self.client.fput_object(self.bucket, f"{name}/{path.name}", str(path))
        return f"s3://{self.bucket}/{name}/"


@pytest.fixture(scope="session")
def store(s3: S3) -> Iterator[Store]:
    host = s3.endpoint.removeprefix("http://")
    client = Minio(host, s3.access_key, s3.secret_key, secure=False)
    name = f"test-{uuid.uuid4().hex[:8]}"
    client.make_bucket(name)
    yield Store(client, name)
    for each in client.list_objects(name, recursive=True):
        client.remove_object(name, each.object_name or "")
    client.remove_bucket(name)


@pytest.fixture(scope="session")
def kubernetes(cluster: Cluster) -> Kubernetes:
    return Kubernetes(cluster.kubeconfig)


@contextmanager
def site_on(cluster: Cluster, s3: S3) -> Iterator[Site]:
    """With namespace, runtimes, account and credentials applied."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    bucket = Bucket(s3.endpoint, access_key=s3.access_key, secret_key=s3.secret_key)
    made = Site(name, {"mlx": MLX}, bucket)
    KServe(Kubernetes(cluster.kubeconfig), made).prepare()
    yield made
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def site(cluster: Cluster, s3: S3) -> Iterator[Site]:
    with site_on(cluster, s3) as made:
        yield made


@pytest.fixture(scope="session")
def location(store: Store, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a tiny Llama is published."""
    directory = tmp_path_factory.mktemp("model") / "checkpoint-1"
    tiny_llama.write_checkpoint(directory, seed=1, step=1)
    return store.put(directory, "good")


@pytest.fixture(scope="session")
def servable(location: str) -> Servable:
    return Servable("QA.Run_1.100", "qa", "a" * 64, location, "mlx")


@pytest.fixture
def candidate(servable: Servable) -> Servable:
    """Another checkpoint."""
    return replace(servable, key="QA.Run_1.200", digest="b" * 64)


def with_image(site: Site, image: str = MLX.image, memory: str = MLX.memory) -> Site:
    """The site under other settings."""
    return replace(site, runtimes={"mlx": replace(MLX, image=image, memory=memory)})


def pods(backend: KServe, servable: Servable) -> list[Object]:
    labels = {PREDICTOR_LABEL: slot_name(servable.key, servable.digest)}
    return backend.cluster.listed(
        Kind("v1", "Pod"), namespace=backend.site.namespace, labels=labels
    )
