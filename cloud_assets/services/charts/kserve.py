"""What KServe's charts are given: Standard mode, no ingress unless a Gateway is named. Pure.

The namespace of our own serving, its runtimes and credentials are `resources.kserve`'s business.
"""

from collections.abc import Mapping
from typing import Any

from cloud_assets.services.charts.parts import Image, chart, merged
from cloud_assets.settings import Settings
from cloud_assets.settings.charts import KServe
from resources.helm import Installation
from resources.kubernetes import Object

NAME = "kserve"
DEFINITIONS = "kserve-crd"
RESOURCES = "kserve-resources"
#: The chart's Issuer and the release's webhooks name it themselves.
NAMESPACE = "kserve"
CONFIGURATION = "inferenceservice-config"
MODE = "Standard"


def installations(settings: Settings) -> list[Installation]:
    """The definitions, then the controller that needs them."""
    wanted = settings.services.kserve or KServe()

    def one(release: str, name: str, given: Mapping[str, Any], *, keeps: bool) -> Installation:
        at = chart(name, settings.chart(name), wanted.version)
        return Installation(release, at, NAMESPACE, given, adopts=wanted.adopt, keeps=keeps)

    given = merged(values(wanted, settings.images), wanted.values)
    return [
        one(DEFINITIONS, DEFINITIONS, {}, keeps=True),
        one(NAME, RESOURCES, given, keeps=False),
    ]


def values(wanted: KServe, images: Mapping[str, str]) -> dict[str, Any]:
    """The values of `kserve-resources`; without images of the site its own are run."""
    gateway = {"enableGatewayApi": True, "kserveGateway": wanted.gateway} if wanted.gateway else {}
    controller: dict[str, Any] = {
        "deploymentMode": MODE,
        "imagePullPolicy": "IfNotPresent",
        "gateway": {
            "disableIstioVirtualHost": True,
            "disableIngressCreation": not wanted.gateway,
            "ingressGateway": gateway or {"enableGatewayApi": False},
        },
        # With the chart's tenth of a core its webhooks answer late, and with them every apply.
        "resources": {
            "requests": {"cpu": "100m", "memory": "300Mi"},
            "limits": {"cpu": "1", "memory": "1Gi"},
        },
    }
    # The chart's name for it differs from what KServe's own documents say.
    storage: dict[str, Any] = {"storageSecretNameAnnotation": "serving.kserve.io/storageSecretName"}
    if "kserve-controller" in images:
        controller |= _image(images["kserve-controller"])
    if "kube-rbac-proxy" in images:
        controller["rbacProxyImage"] = images["kube-rbac-proxy"]
    if "kserve-storage-initializer" in images:
        storage |= _image(images["kserve-storage-initializer"])
    return {"kserve": {"controller": controller, "storage": storage}}


def tried(namespace: str) -> Object:
    """An InferenceService that its webhooks judge and nobody makes."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": "tried",
            "namespace": namespace,
            "annotations": {"serving.kserve.io/deploymentMode": MODE},
        },
        "spec": {
            "predictor": {
                "model": {"modelFormat": {"name": "huggingface"}, "storageUri": "s3://tried/tried/"}
            }
        },
    }


def _image(given: str) -> dict[str, str]:
    """The chart writes `IMAGE:TAG`, so a digest goes before its own colon."""
    image = Image.of(given)
    if image.digest:
        method, _, value = image.digest.partition(":")
        return {"image": f"{image.repository}@{method}", "tag": value}
    return {"image": image.repository, "tag": image.tag or "latest"}
