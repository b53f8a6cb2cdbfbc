"""What a cluster lacks for serving is told before the first checkpoint asks for it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from resources.kserve import Gateway, RuntimeImage, Scaling, Site
from resources.kserve.survey import Observation, survey
from resources.kubernetes import Kubernetes
from resources.ports import free_ports
from tests.doubles.kubernetes import kubeconfig
from tests.testbed.cluster import Cluster


def looked_at(cluster: Kubernetes, site: Site) -> dict[str, Observation]:
    return {each.what: each for each in survey(cluster, site)}


def test_a_server_that_is_not_there_is_all_that_is_told(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig(f"http://127.0.0.1:{free_ports(1)[0]}"))
    [told] = survey(Kubernetes(path, retry_seconds=0), Site("models", {}))
    assert (told.what, told.well) == ("cluster", False)
    assert "does not answer" in told.found


@pytest.mark.testbed
def test_a_cluster_with_kserve_can_serve(cluster: Cluster, site: Site) -> None:
    found = looked_at(Kubernetes(cluster.kubeconfig), site)
    assert list(found) == ["cluster", "KServe", "KServe's runtimes", "nodes", "rights"]
    assert [each for each in found.values() if not each.well] == []


@pytest.mark.testbed
def test_what_only_some_sites_need_is_looked_at_for_them(cluster: Cluster, site: Site) -> None:
    gpu = RuntimeImage("vllm", "vllm:1", gpus=1)
    keda = Scaling(most=2, prometheus="http://prometheus:9090", ttft_p95=1.0)
    gateway = Gateway("public", "gateways", "example.org")
    wanting = replace(site, runtimes={"vllm": gpu}, scaling=keda, gateway=gateway)
    found = looked_at(Kubernetes(cluster.kubeconfig), wanting)
    assert {name for name, each in found.items() if not each.well} == {"GPUs", "KEDA"}
    assert found["KEDA"].fix == "install KEDA"


@pytest.mark.testbed
def test_autoscaling_by_cpu_needs_figures_of_pods(cluster: Cluster, site: Site) -> None:
    scaling = Scaling(most=2, cpu_percent=80)
    found = looked_at(Kubernetes(cluster.kubeconfig), replace(site, scaling=scaling))
    assert found["pod metrics"].well


@pytest.mark.testbed
def test_rights_that_an_account_lacks_are_named(
    cluster: Cluster, site: Site, tmp_path: Path
) -> None:
    account = ("--namespace", site.namespace)
    cluster.kubectl("create", "serviceaccount", "nobody", *account)
    token = cluster.kubectl("create", "token", "nobody", *account).strip()
    path = tmp_path / "kubeconfig"
    text = cluster.kubectl("config", "view", "--raw", "--flatten", "--output", "json")
    path.write_text(as_account(text, token))
    found = looked_at(Kubernetes(path), site)
    assert "may not patch inferenceservices" in found["rights"].found
    assert site.namespace in found["rights"].fix


def as_account(text: str, token: str) -> str:
    """The kubeconfig with this token instead of whoever it names."""
    document = json.loads(text)
    for user in document["users"]:
        user["user"] = {"token": token}
    return json.dumps(document)
