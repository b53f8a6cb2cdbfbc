"""KEDA by the manifests of its own module, for the tests of it alone."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tests.testbed import pins
from tests.testbed.build import go_programs, images
from tests.testbed.cluster import Cluster
from tests.testbed.kubectl import Kubectl
from tests.testbed.run.node_images import on_nodes

NAMESPACE = "keda"
_DEPLOYMENTS = ("keda-operator", "keda-metrics-apiserver", "keda-admission")
_API = "apiservice/v1beta1.external.metrics.k8s.io"
#: The secret with its certificates comes from the operator, and the kubelet looks for it at times.
_PATIENCE_SECONDS = 240
_GONE_SECONDS = 120


@contextmanager
def installed(cluster: Cluster) -> Iterator[None]:
    """Within, KEDA runs on a testbed of ours; behind it nothing of it is left."""
    assert cluster.places is not None
    ask, text = cluster.kubectl, manifests(cluster)
    definitions, others = (
        "\n---\n".join(each for each in text.split("\n---\n") if _defines(each) is wanted)
        for wanted in (True, False)
    )
    with on_nodes(cluster.places, cluster.nodes, images.keda()):
        try:
            ask.apply(definitions)
            ask("wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
            ask.apply(others)
            for name in _DEPLOYMENTS:
                ask.wait(
                    f"deployment/{name}", "condition=Available", "--namespace", NAMESPACE,
                    seconds=_PATIENCE_SECONDS,
                )  # fmt: skip
            ask.wait(_API, "condition=Available", seconds=_PATIENCE_SECONDS)
            yield
        finally:
            _remove(ask, definitions, others)


def _remove(ask: Kubectl, definitions: str, others: str) -> None:
    """Its objects have finalizers, so they go while it runs; and while an API is missing, no
    namespace can be deleted.
    """
    try:
        _delete(ask, definitions)
    finally:
        ask("delete", _API, "--ignore-not-found")
        _delete(ask, others)


def _delete(ask: Kubectl, text: str) -> None:
    limit = ("--ignore-not-found", f"--timeout={_GONE_SECONDS}s")
    ask("delete", "--filename", "-", *limit, text=text, seconds=_GONE_SECONDS + 30)


def manifests(cluster: Cluster) -> str:
    """As the module's `config/default` makes them, with images of ours and probes without pause."""
    folder = go_programs.module_folder(go_programs.KEDA, pins.KEDA) / "config" / "default"
    text = cluster.kubectl("kustomize", str(folder))
    for name in pins.KEDA_IMAGES.values():
        text = text.replace(f"{name.rpartition(':')[0]}:main", name)
    text = text.replace("imagePullPolicy: Always", "imagePullPolicy: IfNotPresent")
    often = r"\1periodSeconds: 1\n\1failureThreshold: 120"
    return re.sub(r"^( +)initialDelaySeconds: \d+$", often, text, flags=re.MULTILINE)


def _defines(manifest: str) -> bool:
    return re.search(r"^kind: CustomResourceDefinition$", manifest, re.MULTILINE) is not None
