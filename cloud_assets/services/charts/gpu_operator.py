"""What NVIDIA's chart is given: driver, toolkit, time-slicing, figures for Prometheus. Pure."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cloud_assets.services.charts.parts import Image, installation, merged
from cloud_assets.settings import Settings
from cloud_assets.settings.charts import GpuOperator
from resources.helm import Installation
from resources.kubernetes import Object

NAME = "gpu_operator"
CHART = "gpu-operator"
GPU = "nvidia.com/gpu"
#: The entry of the plugin's configuration that nodes without a label of their own take.
_SHARED = "shared"
_HASH = 8
#: Sections of the chart by the name of their image among ours.
_IMAGES = {
    "gpu-operator": ("operator", "validator"),
    "nvidia-driver": ("driver",),
    "nvidia-container-toolkit": ("toolkit",),
    "nvidia-device-plugin": ("devicePlugin", "gfd"),
    "nvidia-dcgm-exporter": ("dcgmExporter",),
    "nvidia-mig-manager": ("migManager",),
}


def installations(settings: Settings) -> list[Installation]:
    wanted = settings.services.gpu_operator or GpuOperator()
    return [installation(CHART, settings, wanted, values(wanted, settings.images))]


def manifests(settings: Settings) -> list[Object]:
    """What the chart refers to and does not bring: how GPUs are shared."""
    wanted = settings.services.gpu_operator or GpuOperator()
    return [sharing(wanted)] if wanted.pods_per_gpu > 1 else []


def values(wanted: GpuOperator, images: Mapping[str, str]) -> dict[str, Any]:
    """The values of the chart; without images of the site its own are run."""
    found: dict[str, Any] = {
        "driver": {"enabled": wanted.driver},
        "toolkit": {"enabled": wanted.toolkit},
        "nfd": {"enabled": wanted.node_feature_discovery},
        "mig": {"strategy": "single"},
        # Without the kinds of the Prometheus Operator, NVIDIA's makes no ServiceMonitor.
        "dcgmExporter": {
            "enabled": True,
            "serviceMonitor": {
                "enabled": True,
                "interval": "15s",
                "additionalLabels": dict(wanted.monitor_labels),
            },
        },
    }
    if wanted.pods_per_gpu > 1:
        config = {"name": sharing(wanted)["metadata"]["name"], "default": _SHARED}
        found["devicePlugin"] = {"config": config}
    return merged(found, _images(images))


def sharing(wanted: GpuOperator) -> Object:
    """The plugin's configuration under a name that says what is in it.

    The operator does not watch the content; another name makes it start the plugin anew.
    """
    document = {
        "version": "v1",
        "sharing": {
            "timeSlicing": {
                "renameByDefault": False,
                # Two turns on one GPU are no two GPUs.
                "failRequestsGreaterThanOne": True,
                "resources": [{"name": GPU, "replicas": wanted.pods_per_gpu}],
            }
        },
    }
    # The plugin reads YAML, which JSON is.
    text = json.dumps(document, indent=2)
    digest = hashlib.sha256(text.encode()).hexdigest()[:_HASH]
    about = {"name": f"ai-how-sharing-{digest}", "namespace": wanted.namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {_SHARED: text}}


def tried(namespace: str, image: str) -> Object:
    """A pod that takes one GPU and ends at once."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "tried", "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}],
            "containers": [
                {
                    "name": "tried",
                    "image": image,
                    "command": ["true"],
                    "resources": {"limits": {GPU: "1"}},
                }
            ],
        },
    }


def _images(images: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, sections in _IMAGES.items():
        if name in images:
            image = Image.of(images[name])
            parts = {"repository": image.folder, "image": image.last}
            version = image.digest or image.tag
            for section in sections:
                found[section] = {**parts, **({"version": version} if version else {})}
    if "node-feature-discovery" in images:
        image = Image.of(images["node-feature-discovery"])
        whole = {"repository": image.repository, "tag": image.tag}
        found["node-feature-discovery"] = {"image": whole}
    return found
