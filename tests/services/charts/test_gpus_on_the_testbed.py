"""NVIDIA's chart on a real cluster with a node that says it has a GPU; no operator, no GPU."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cloud_assets.services.charts import gpu_operator
from cloud_assets.services.site import Site
from cloud_assets.services.trials.gpus import gpus_are_offered, pod_gets_a_gpu, values_in_force
from resources.kubernetes import Kind, Reference, condition
from tests.services.charts.conftest import changed, service, site
from tests.testbed import gpus, pins
from tests.testbed.cluster import Cluster

pytestmark = [pytest.mark.testbed, pytest.mark.disruptive, pytest.mark.timeout(900)]
POLICY = Reference("nvidia.com/v1", "ClusterPolicy", "cluster-policy")


@pytest.fixture(scope="module")
def made(cluster: Cluster) -> Iterator[Site]:
    """The site with the release up, four pods to a GPU."""
    found = site(cluster, services={"gpu_operator": {"pods_per_gpu": 4}})
    service(found, "gpu_operator").convergence.converge(found)
    yield found
    found.helm.uninstall("gpu-operator", "gpu-operator")
    cluster.kubectl("delete", "namespace", "gpu-operator", "--wait=false")
    cluster.kubectl("delete", "crd", "clusterpolicies.nvidia.com")


@pytest.fixture
def gpu_node(cluster: Cluster) -> Iterator[str]:
    with gpus.advertised(cluster) as name:
        yield name


def with_turns(found: Site, count: int) -> Site:
    wanted = found.settings.services.gpu_operator
    assert wanted is not None
    other = wanted.model_copy(update={"pods_per_gpu": count})
    services = found.settings.services.model_copy(update={"gpu_operator": other})
    return changed(found, services=services)


def shared_by(found: Site) -> list[str]:
    """The names of the plugin's configurations in the operator's namespace."""
    listed = found.kubernetes.listed(Kind("v1", "ConfigMap"), namespace="gpu-operator")
    names = [each["metadata"]["name"] for each in listed]
    return [each for each in names if each.startswith("ai-how-sharing-")]


def policy(found: Site) -> dict[str, Any]:
    there = found.kubernetes.get(POLICY)
    assert there is not None
    return dict(there["spec"])


def test_the_operator_is_told_what_the_settings_say(made: Site) -> None:
    [config] = gpu_operator.manifests(made.settings)
    assert not policy(made)["driver"]["enabled"]
    assert policy(made)["devicePlugin"]["config"]["name"] == config["metadata"]["name"]
    assert values_in_force(made).passed


def test_a_second_run_changes_nothing(made: Site) -> None:
    before = made.helm.status("gpu-operator", "gpu-operator")
    convergence = service(made, "gpu_operator").convergence
    changes = convergence.converge(made)
    assert {each.outcome for each in changes} == {"unchanged"}
    assert convergence.plan(made) == changes
    assert made.helm.status("gpu-operator", "gpu-operator") == before


def test_other_turns_are_told_by_another_configuration_and_the_old_one_goes(made: Site) -> None:
    other = with_turns(made, 2)
    assert not values_in_force(other).passed
    convergence = service(other, "gpu_operator").convergence
    changes = {str(each) for each in convergence.converge(other)}
    [config] = gpu_operator.manifests(other.settings)
    assert "ClusterPolicy cluster-policy changed: .spec.devicePlugin.config.name" in changes
    assert shared_by(other) == [config["metadata"]["name"]]
    assert values_in_force(other).passed
    convergence.converge(with_turns(made, 1))
    assert shared_by(made) == []
    service(made, "gpu_operator").convergence.converge(made)


def test_values_that_somebody_changed_are_told(made: Site) -> None:
    [wanted] = gpu_operator.installations(made.settings)
    by_hand = replace(wanted, values={**wanted.values, "driver": {"enabled": True}})
    made.helm.install_or_upgrade(by_hand)
    outcome = values_in_force(made)
    service(made, "gpu_operator").convergence.converge(made)
    assert outcome.why == "the release has other values of driver than the settings"
    assert values_in_force(made).passed


def test_a_cluster_without_gpus_is_a_warning(made: Site) -> None:
    outcome = gpus_are_offered(made)
    assert (outcome.passed, outcome.severe) == (False, False)
    assert outcome.why == "no node is labelled as having a GPU"


def test_a_node_that_has_one_and_offers_none_is_a_warning_with_its_reason(
    made: Site, cluster: Cluster
) -> None:
    node = cluster.nodes[-1]
    cluster.kubectl("label", "node", node, f"{gpus.LABEL}=true")
    try:
        outcome = gpus_are_offered(made)
    finally:
        cluster.kubectl("label", "node", node, f"{gpus.LABEL}-")
    assert (outcome.passed, outcome.severe) == (False, False)
    assert outcome.why == (
        f"{node} has a GPU and offers no nvidia.com/gpu: "
        "the operator has made no nvidia-device-plugin-daemonset"
    )
    assert outcome.figures == {node: 0}


def test_what_each_node_offers_is_told(made: Site, gpu_node: str) -> None:
    outcome = gpus_are_offered(made)
    assert outcome.passed
    assert outcome.figures == {gpu_node: 1}


def test_a_pod_that_asks_for_a_gpu_runs(made: Site, gpu_node: str) -> None:
    outcome = pod_gets_a_gpu(made)
    assert outcome.passed, outcome.why


def test_a_gpu_that_somebody_holds_is_a_warning(
    made: Site, gpu_node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud_assets.services.trials.gpus._POD_SECONDS", 8.0)
    holder = gpu_operator.tried("default", pins.BUSYBOX_IMAGE)
    holder["spec"]["containers"][0]["command"] = ["sleep", "600"]
    made.kubernetes.apply(holder)
    reference = Reference.of(holder)
    try:
        made.kubernetes.wait(reference, condition("Ready"), timeout_seconds=60)
        outcome = pod_gets_a_gpu(made)
    finally:
        made.kubernetes.delete(reference, wait_seconds=60)
    assert (outcome.passed, outcome.severe) == (False, False)
    assert outcome.why == (
        f"no node takes pod tried: no free nvidia.com/gpu: "
        f"pod default/tried holds 1 of 1 on {gpu_node}"
    )
