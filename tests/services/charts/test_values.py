"""What each chart is given, as it is written down, and what of it the settings change.

`python -m tests.services.charts.write_golden` writes the files anew; look at the difference.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloud_assets.services.charts import certificates, gpu_operator, kserve
from cloud_assets.services.charts.parts import Image, chart, merged
from cloud_assets.settings import Settings
from resources.helm import Installation

GOLDEN = Path(__file__).with_name("golden")
ALL: dict[str, Callable[[Settings], Sequence[Installation]]] = {
    "cert_manager": certificates.installations,
    "kserve": kserve.installations,
    "gpu_operator": gpu_operator.installations,
}
#: As a site without registries and with shared GPUs has it.
OFFLINE = {
    "images": {
        "cert-manager-controller": "registry.local:5000/cm/controller:v1.21.2",
        "cert-manager-webhook": "registry.local:5000/cm/webhook:v1.21.2",
        "cert-manager-cainjector": f"registry.local:5000/cm/cainjector@sha256:{'a' * 64}",
        "kserve-controller": "registry.local:5000/kserve/controller:v0.20.0",
        "kserve-storage-initializer": f"registry.local:5000/kserve/initializer@sha256:{'b' * 64}",
        "kube-rbac-proxy": "registry.local:5000/proxy:v0.18.0",
        "gpu-operator": "registry.local:5000/nvidia/gpu-operator:v26.7.0",
        "nvidia-device-plugin": "registry.local:5000/nvidia/k8s-device-plugin:v0.20.0",
        "nvidia-dcgm-exporter": "registry.local:5000/nvidia/dcgm-exporter:4.6.0",
        "node-feature-discovery": "registry.local:5000/nfd:v0.19.0",
    },
    "charts": {
        "cert-manager": "charts/cert-manager-v1.21.2.tgz",
        "kserve-crd": "oci://registry.local:5000/charts/kserve-crd",
        "kserve-resources": "oci://registry.local:5000/charts/kserve-resources",
        "gpu-operator": "/srv/charts/gpu-operator",
    },
    "services": {
        "cert_manager": {"values": {"webhook": {"replicaCount": 2}}},
        "kserve": {"gateway": "gateways/models", "adopt": True},
        "gpu_operator": {"pods_per_gpu": 4, "monitor_labels": {"release": "prometheus"}},
    },
}


def settings(platform: dict[str, Any]) -> Settings:
    return Settings.model_validate(platform).resolved(Path("/srv/platform"))


def told(installation: Installation) -> dict[str, Any]:
    """All that helm is told of a release."""
    return {
        "release": f"{installation.namespace}/{installation.release}",
        "chart": installation.chart.words,
        "adopts": installation.adopts,
        "values": installation.values,
    }


def written(platform: dict[str, Any], name: str) -> str:
    documents = [told(each) for each in ALL[name](settings(platform))]
    return yaml.safe_dump_all(documents, sort_keys=False, width=100)


@pytest.mark.parametrize("name", ALL)
def test_without_a_word_it_is_what_was_agreed_upon(name: str) -> None:
    assert written({}, name) == (GOLDEN / f"{name}.yaml").read_text("utf-8")


@pytest.mark.parametrize("name", ALL)
def test_a_site_of_its_own_images_and_charts(name: str) -> None:
    assert written(OFFLINE, name) == (GOLDEN / f"{name}_offline.yaml").read_text("utf-8")


def test_what_a_site_says_lies_over_what_the_platform_says() -> None:
    more = {"kserve": {"controller": {"deploymentMode": "Knative", "nodeSelector": {"a": "b"}}}}
    found = settings({"services": {"kserve": {"values": more}}})
    controller = kserve.installations(found)[1].values["kserve"]["controller"]
    assert (controller["deploymentMode"], controller["nodeSelector"]) == ("Knative", {"a": "b"})
    assert controller["imagePullPolicy"] == "IfNotPresent"


def test_other_turns_on_a_gpu_have_another_name_of_their_configuration() -> None:
    """The operator starts the plugin anew for another name, and not for another content."""
    names = set()
    for turns in (2, 4):
        found = settings({"services": {"gpu_operator": {"pods_per_gpu": turns}}})
        [config] = gpu_operator.manifests(found)
        [release] = gpu_operator.installations(found)
        assert release.values["devicePlugin"]["config"]["name"] == config["metadata"]["name"]
        assert f'"replicas": {turns}' in config["data"]["shared"]
        names.add(config["metadata"]["name"])
    assert len(names) == 2


def test_a_gpu_of_one_pod_needs_no_configuration() -> None:
    found = settings({"services": {"gpu_operator": {}}})
    assert gpu_operator.manifests(found) == []
    assert "devicePlugin" not in gpu_operator.installations(found)[0].values


def test_what_cannot_be_made_again_is_kept() -> None:
    kept = {each.release: each.keeps for find in ALL.values() for each in find(settings({}))}
    assert kept == {
        # Its chart tells helm itself to keep them.
        "cert-manager": False,
        "kserve-crd": True,
        "kserve": False,
        "gpu-operator": False,
    }


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("tool", Image("tool")),
        ("tool:1", Image("tool", "1")),
        ("registry.local:5000/tool", Image("registry.local:5000/tool")),
        ("registry.local:5000/a/tool:1", Image("registry.local:5000/a/tool", "1")),
        ("a/tool@sha256:ff", Image("a/tool", "", "sha256:ff")),
        ("a/tool:1@sha256:ff", Image("a/tool", "1", "sha256:ff")),
    ],
)
def test_an_image_is_taken_apart(name: str, image: Image) -> None:
    assert Image.of(name) == image


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("/srv/a", ["/srv/a"]),
        ("/srv/a.tgz", ["/srv/a.tgz"]),
        ("oci://r/a", ["oci://r/a", "--version", "1"]),
        ("https://r/charts", ["a", "--repo", "https://r/charts", "--version", "1"]),
        ("https://r/a-1.tgz", ["https://r/a-1.tgz"]),
    ],
)
def test_a_chart_is_found_where_the_site_has_it(place: str, words: list[str]) -> None:
    assert chart("a", place, "1").words == words


def test_maps_are_joined_and_all_else_is_replaced() -> None:
    before = {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}, "f": None}
    more = {"a": {"c": [3]}, "d": None, "f": {"g": 1}}
    assert merged(before, more) == {"a": {"b": 1, "c": [3]}, "d": None, "f": {"g": 1}}
