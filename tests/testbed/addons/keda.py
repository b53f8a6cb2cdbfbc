"""KEDA's own manifests of its module, for the tests of it alone: operator and metrics server.

Its webhooks are left out, as `config/minimal` of the module leaves them out.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tests.testbed import pins
from tests.testbed.build import go_programs, images
from tests.testbed.cluster import Cluster
from tests.testbed.run.node_images import on_nodes

NAMESPACE = "keda"
_OPERATOR, _METRICS_SERVER = "keda-operator", "keda-metrics-apiserver"
_API = "apiservice/v1beta1.external.metrics.k8s.io"
#: The secret with its certificates comes from the operator, and the kubelet looks for it at times.
_PATIENCE_SECONDS = 240


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
            for name in (_OPERATOR, _METRICS_SERVER):
                ask.wait(
                    f"deployment/{name}", "condition=Available", "--namespace", NAMESPACE,
                    seconds=_PATIENCE_SECONDS,
                )  # fmt: skip
            ask.wait(_API, "condition=Available", seconds=_PATIENCE_SECONDS)
            yield
        finally:
            # Its objects have finalizers, so they go while it runs; and while an API is missing,
            # no namespace can be deleted.
            gone = ("--ignore-not-found", "--timeout=120s")
            ask("delete", "--filename", "-", *gone, text=definitions, seconds=150)
            ask("delete", _API, "--ignore-not-found")
            ask("delete", "--filename", "-", *gone, text=others, seconds=150)


def manifests(cluster: Cluster) -> str:
    """As the module's `config/minimal` makes them, with images of ours and probes without pause."""
    folder = go_programs.module_folder(go_programs.KEDA, pins.KEDA) / "config" / "minimal"
    text = cluster.kubectl("kustomize", str(folder))
    for name in (pins.KEDA_IMAGE, pins.KEDA_ADAPTER_IMAGE):
        text = text.replace(f"{name.rpartition(':')[0]}:main", name)
    text = text.replace("imagePullPolicy: Always", "imagePullPolicy: IfNotPresent")
    often = r"\1periodSeconds: 1\n\1failureThreshold: 120"
    return re.sub(r"^( +)initialDelaySeconds: \d+$", often, text, flags=re.MULTILINE)


def _defines(manifest: str) -> bool:
    return re.search(r"^kind: CustomResourceDefinition$", manifest, re.MULTILINE) is not None
