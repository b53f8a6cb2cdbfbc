"""The real charts rendered with our values: that these values mean what we take them for."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cloud_assets.services.charts import certificates, gpu_operator, kserve
from cloud_assets.settings import Settings
from resources.helm import Helm
from resources.kubernetes import Object
from tests.doubles import helm_program
from tests.services.charts.test_values import OFFLINE
from tests.testbed.build import charts

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def helm() -> Helm:
    found = helm_program.found()
    if found is None:
        pytest.skip(helm_program.MISSING)
    return Helm(program=found)


def settings(images: bool = False, **services: Any) -> Settings:
    """With the charts of Go modules, and the images of a site without registries."""
    places = {
        "cert-manager": charts.cert_manager(),
        "kserve-crd": charts.kserve("kserve-crd"),
        "kserve-resources": charts.kserve("kserve-resources"),
        "gpu-operator": charts.gpu_operator(),
    }
    return Settings.model_validate(
        {
            "charts": {name: str(path) for name, path in places.items()},
            "images": OFFLINE["images"] if images else {},
            "services": services,
        }
    ).resolved(Path("/srv"))


def images_of(objects: Sequence[Object]) -> set[str]:
    return {
        container["image"]
        for each in objects
        if each["kind"] in ("Deployment", "DaemonSet")
        for container in each["spec"]["template"]["spec"]["containers"]
    }


def one(objects: Sequence[Object], kind: str) -> Object:
    [found] = [each for each in objects if each["kind"] == kind]
    return found


def test_kserve_serves_in_standard_mode_and_makes_no_ingress(helm: Helm) -> None:
    _, resources = kserve.installations(settings())
    config = one(helm.render(resources), "ConfigMap")
    assert config["metadata"]["name"] == kserve.CONFIGURATION
    assert json.loads(config["data"]["deploy"])["defaultDeploymentMode"] == "Standard"
    ingress = json.loads(config["data"]["ingress"])
    assert ingress["disableIngressCreation"]
    assert not ingress["enableGatewayApi"]
    credentials = json.loads(config["data"]["credentials"])
    assert credentials["storageSecretNameAnnotation"] == "serving.kserve.io/storageSecretName"


def test_kserve_makes_routes_of_the_gateway_that_is_named(helm: Helm) -> None:
    _, resources = kserve.installations(settings(kserve={"gateway": "gateways/models"}))
    ingress = json.loads(one(helm.render(resources), "ConfigMap")["data"]["ingress"])
    assert not ingress["disableIngressCreation"]
    assert ingress["enableGatewayApi"]
    assert ingress["kserveIngressGateway"] == "gateways/models"


def test_kserves_definitions_come_with_the_first_of_its_charts(helm: Helm) -> None:
    definitions, _ = kserve.installations(settings())
    kinds = {each["spec"]["names"]["kind"] for each in helm.render(definitions)}
    assert {"InferenceService", "ServingRuntime", "ClusterStorageContainer"} <= kinds


def test_a_site_of_its_own_images_has_no_others_of_kserve(helm: Helm) -> None:
    _, resources = kserve.installations(settings(images=True))
    found = helm.render(resources)
    initializer = one(found, "ClusterStorageContainer")["spec"]["container"]["image"]
    assert images_of(found) == {
        "registry.local:5000/kserve/controller:v0.20.0",
        "registry.local:5000/proxy:v0.18.0",
    }
    assert initializer == f"registry.local:5000/kserve/initializer@sha256:{'b' * 64}"


def test_a_site_of_its_own_images_has_no_others_of_cert_manager(helm: Helm) -> None:
    [release] = certificates.installations(settings(images=True))
    assert images_of(helm.render(release)) == {
        "registry.local:5000/cm/controller:v1.21.2",
        "registry.local:5000/cm/webhook:v1.21.2",
        f"registry.local:5000/cm/cainjector@sha256:{'a' * 64}",
    }


def test_the_definitions_of_cert_manager_outlive_its_release(helm: Helm) -> None:
    [release] = certificates.installations(settings())
    definitions = [
        each for each in helm.render(release) if each["kind"] == "CustomResourceDefinition"
    ]
    policies = {each["metadata"]["annotations"]["helm.sh/resource-policy"] for each in definitions}
    assert (len(definitions), policies) == (6, {"keep"})


def test_the_gpu_operator_leaves_the_driver_alone_and_shares_gpus(helm: Helm) -> None:
    wanted = settings(gpu_operator={"pods_per_gpu": 4, "node_feature_discovery": False})
    [release] = gpu_operator.installations(wanted)
    policy = one(helm.render(release), "ClusterPolicy")["spec"]
    [config] = gpu_operator.manifests(wanted)
    assert not policy["driver"]["enabled"]
    assert policy["toolkit"]["enabled"]
    assert policy["devicePlugin"]["config"] == {
        "name": config["metadata"]["name"],
        "default": "shared",
    }


def test_a_site_of_its_own_images_has_them_in_nvidias_policy(helm: Helm) -> None:
    wanted = settings(images=True, gpu_operator={"node_feature_discovery": False})
    [release] = gpu_operator.installations(wanted)
    found = helm.render(release)
    plugin = one(found, "ClusterPolicy")["spec"]["devicePlugin"]
    assert images_of(found) == {"registry.local:5000/nvidia/gpu-operator:v26.7.0"}
    assert (plugin["repository"], plugin["image"], plugin["version"]) == (
        "registry.local:5000/nvidia",
        "k8s-device-plugin",
        "v0.20.0",
    )
