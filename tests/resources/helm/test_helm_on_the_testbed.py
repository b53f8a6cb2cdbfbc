"""What becomes of a release that fails, or whose helm is killed, on a real cluster."""

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resources.errors import NeedsRepair, TransientError
from resources.helm import Chart, Helm, Installation, owner
from resources.kubernetes import Kubernetes, Reference
from tests.doubles import helm_program
from tests.doubles.charts import PLAIN, write_chart
from tests.testbed import pins
from tests.testbed.cluster import Cluster

pytestmark = pytest.mark.testbed

SERVER = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: server
          image: {{ .Values.image }}
          command: ["sleep", "3600"]
"""
#: Where no registry listens, so that nothing is asked of the network.
ABSENT = "127.0.0.1:1/absent:1"


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    return write_chart(tmp_path, {"server.yaml": SERVER, "plain.yaml": PLAIN})


def wanted(chart: Path, space: str, **values: Any) -> Installation:
    return Installation("web", Chart(str(chart)), space, {"image": pins.BUSYBOX_IMAGE, **values})


def test_a_first_installation_that_fails_is_removed(
    real_helm: Helm, chart: Path, space: str, cluster: Cluster
) -> None:
    with pytest.raises(TransientError, match="deadline"):
        real_helm.install_or_upgrade(wanted(chart, space, image=ABSENT), timeout_seconds=3)
    assert real_helm.status("web", space) is None
    assert cluster.kubectl.get("deployments", "--namespace", space)["items"] == []


@pytest.mark.parametrize("adopts", [True, False])
def test_what_cannot_be_made_again_outlives_a_failed_first_installation(
    real_helm: Helm, chart: Path, space: str, cluster: Cluster, adopts: bool
) -> None:
    """Removing the release would remove what it took over or defines."""
    failing = wanted(chart, space, image=ABSENT)
    failing = replace(failing, adopts=adopts, keeps=not adopts)
    with pytest.raises(TransientError):
        real_helm.install_or_upgrade(failing, timeout_seconds=3)
    cluster.kubectl.get("configmap", "web", "--namespace", space)
    real_helm.install_or_upgrade(replace(failing, values={"image": pins.BUSYBOX_IMAGE}))
    found = real_helm.status("web", space)
    assert found is not None
    assert found.status == "deployed"


def test_a_later_failure_of_what_cannot_be_made_again_is_rolled_back(
    real_helm: Helm, chart: Path, space: str, cluster: Cluster
) -> None:
    kept = replace(wanted(chart, space), keeps=True)
    real_helm.install_or_upgrade(kept)
    with pytest.raises(TransientError):
        real_helm.install_or_upgrade(
            replace(kept, values={"image": ABSENT, "greeting": "new"}), timeout_seconds=3
        )
    found = cluster.kubectl.get("configmap", "web", "--namespace", space)
    assert found["data"] == {"greeting": "hello"}
    assert real_helm.install_or_upgrade(kept) == []


def test_a_killed_first_installation_of_what_must_stay_is_left_to_a_person(
    real_helm: Helm, chart: Path, space: str, cluster: Cluster
) -> None:
    _kill_amid(chart, space, cluster, real_helm)
    time.sleep(6)
    kept = replace(wanted(chart, space), keeps=True)
    with pytest.raises(NeedsRepair, match="was killed") as caught:
        real_helm.install_or_upgrade(kept, timeout_seconds=6)
    cluster.kubectl(*str(caught.value.hint).split("`")[1].split()[1:])
    adopting = replace(kept, adopts=True)
    real_helm.install_or_upgrade(adopting, timeout_seconds=60)
    assert real_helm.install_or_upgrade(kept) == []


def test_an_upgrade_that_fails_is_rolled_back(
    real_helm: Helm, chart: Path, space: str, cluster: Cluster
) -> None:
    real_helm.install_or_upgrade(wanted(chart, space))
    with pytest.raises(TransientError):
        real_helm.install_or_upgrade(
            wanted(chart, space, image=ABSENT, greeting="new"), timeout_seconds=3
        )
    found = real_helm.status("web", space)
    assert found is not None
    assert (found.status, found.revision) == ("deployed", 3)
    kept = cluster.kubectl.get("configmap", "web", "--namespace", space)
    assert kept["data"] == {"greeting": "hello"}
    assert real_helm.install_or_upgrade(wanted(chart, space)) == []


def test_what_somebody_removed_is_put_back_when_asked(
    real_helm: Helm, chart: Path, space: str, cluster: Cluster
) -> None:
    real_helm.install_or_upgrade(wanted(chart, space))
    cluster.kubectl("delete", "configmap", "web", "--namespace", space)
    real_helm.install_or_upgrade(wanted(chart, space), always=True)
    cluster.kubectl.get("configmap", "web", "--namespace", space)


def test_an_object_of_somebody_else_is_not_taken(
    real_helm: Helm, chart: Path, space: str, cluster: Cluster
) -> None:
    cluster.kubectl("create", "configmap", "web", "--namespace", space)
    with pytest.raises(NeedsRepair, match="cannot be imported") as caught:
        real_helm.install_or_upgrade(wanted(chart, space))
    assert "owner" in str(caught.value.hint)
    assert real_helm.status("web", space) is None


def test_an_object_of_somebody_else_is_taken_when_asked(
    real_helm: Helm, chart: Path, space: str, cluster: Cluster
) -> None:
    cluster.kubectl("create", "configmap", "web", "--namespace", space)
    adopting = replace(wanted(chart, space), adopts=True)
    real_helm.install_or_upgrade(adopting)
    found = cluster.kubectl.get("configmap", "web", "--namespace", space)
    assert found["data"] == {"greeting": "hello"}
    assert owner(found, adopting) is None


def test_objects_of_somebody_else_do_not_hinder_planning(
    real_helm: Helm, chart: Path, space: str, cluster: Cluster
) -> None:
    # Of an empty one the server keeps no managers.
    cluster.kubectl("create", "configmap", "web", "--from-literal=a=b", "--namespace", space)
    found = Kubernetes(cluster.kubeconfig).get(Reference("v1", "ConfigMap", "web", space))
    assert found is not None
    planned = real_helm.planned(wanted(chart, space))
    assert sorted(each["kind"] for each in planned) == ["ConfigMap", "Deployment"]
    assert owner(found, wanted(chart, space)) == "`kubectl-create`"


@pytest.mark.parametrize("installed", [False, True])
def test_a_release_whose_helm_was_killed_is_taken_back(
    real_helm: Helm, chart: Path, space: str, cluster: Cluster, installed: bool
) -> None:
    if installed:
        real_helm.install_or_upgrade(wanted(chart, space))
    _kill_amid(chart, space, cluster, real_helm)
    with pytest.raises(TransientError, match="another operation is under way"):
        real_helm.install_or_upgrade(wanted(chart, space), timeout_seconds=600)
    time.sleep(6)
    real_helm.install_or_upgrade(wanted(chart, space, greeting="new"), timeout_seconds=6)
    found = real_helm.status("web", space)
    assert found is not None
    assert found.status == "deployed"


def _kill_amid(chart: Path, space: str, cluster: Cluster, helm: Helm) -> None:
    """Leave a release as a helm leaves it that is killed while it waits for pods."""
    command = [
        str(helm_program.built()), "upgrade", "web", str(chart), "--install", "--wait",
        "--kubeconfig", str(cluster.kubeconfig), "--namespace", space, "--set", f"image={ABSENT}",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        while not (found := helm.status("web", space)) or not found.is_under_way:
            assert child.poll() is None
            time.sleep(0.1)
        os.kill(child.pid, 9)
