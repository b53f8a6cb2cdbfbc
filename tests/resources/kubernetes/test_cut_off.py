"""A real API server behind a line that is cut: what a restart of it looks like to a client."""

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from resources.kubernetes import Kubernetes, Object, Reference, exists
from tests.doubles.cut_line import CutLine
from tests.resources.kubernetes.cluster_contract import config_map, later
from tests.testbed.cluster import Cluster

pytestmark = pytest.mark.testbed


@pytest.fixture
def namespace(kubernetes: Kubernetes) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    about: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    kubernetes.apply(about)
    yield name
    kubernetes.delete(Reference.of(about))


@pytest.fixture
def line(cluster: Cluster) -> Iterator[CutLine]:
    found = yaml.safe_load(cluster.kubeconfig.read_text("utf-8"))
    server = urlsplit(found["clusters"][0]["cluster"]["server"])
    assert server.hostname is not None
    with CutLine((server.hostname, server.port or 443)) as running:
        yield running


@pytest.fixture
def client(cluster: Cluster, line: CutLine, tmp_path: Path) -> Kubernetes:
    """Over the line."""
    found = yaml.safe_load(cluster.kubeconfig.read_text("utf-8"))
    about = found["clusters"][0]["cluster"]
    about["tls-server-name"] = urlsplit(about["server"]).hostname
    about["server"] = f"https://127.0.0.1:{line.port}"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(found), "utf-8")
    path.chmod(0o600)
    return Kubernetes(path)


def test_an_apply_outlives_a_restart(client: Kubernetes, line: CutLine, namespace: str) -> None:
    client.apply(config_map(namespace, "first"))
    line.cut()
    timer = later(1.0, line.mend)
    assert client.apply(config_map(namespace)).outcome == "created"
    timer.join()


def test_a_wait_outlives_a_restart(
    client: Kubernetes, kubernetes: Kubernetes, line: CutLine, namespace: str
) -> None:
    timers: list[threading.Timer] = [
        later(0.5, line.cut),
        later(1.0, kubernetes.apply, config_map(namespace)),
        later(1.5, line.mend),
    ]
    reference = Reference("v1", "ConfigMap", "plain", namespace)
    assert client.wait(reference, exists(), timeout_seconds=60)
    for each in timers:
        each.join()
