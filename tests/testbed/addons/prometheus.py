"""A Prometheus in the cluster, for the tests that scale by what it says."""

import json
import string
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import pins
from tests.testbed.build import images
from tests.testbed.cluster import Cluster
from tests.testbed.run.node_images import on_nodes

DEPLOYMENT = "prometheus"


@dataclass(frozen=True)
class Prometheus:
    """Where it runs."""

    namespace: str

    @property
    def url(self) -> str:
        """As pods reach it."""
        return f"http://{DEPLOYMENT}.{self.namespace}.svc:9090"


@contextmanager
def installed(cluster: Cluster) -> Iterator[Prometheus]:
    """Within, it runs on a testbed of ours, in a namespace of its own."""
    assert cluster.places is not None
    ask, namespace = cluster.kubectl, f"test-{uuid.uuid4().hex[:8]}"
    text = _manifests(namespace)
    with on_nodes(cluster.places, cluster.nodes, images.prometheus()):
        ask("create", "namespace", namespace)
        try:
            ask.apply(text)
            where = ("--namespace", namespace)
            ask.wait(f"deployment/{DEPLOYMENT}", "condition=Available", *where)
            yield Prometheus(namespace)
        finally:
            ask("delete", "--filename", "-", "--ignore-not-found", text=text)
            ask("delete", "namespace", namespace, "--wait=false")


def _manifests(namespace: str) -> str:
    here = Path(__file__)
    template = string.Template(here.with_suffix(".yaml").read_text("utf-8"))
    program = here.with_name("pods_for_prometheus.py").read_text("utf-8")
    return template.substitute(
        namespace=namespace, image=pins.PROMETHEUS_IMAGE, python=pins.MLX_IMAGE,
        program=json.dumps(program),
    )  # fmt: skip
