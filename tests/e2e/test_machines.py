"""What changes machines is on record: on a real platform, with libvirt's simulation in a daemon.

Kubernetes is the API server double; its one node is the cloud's worker.
"""

import getpass
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from dagster import AssetKey, DagsterInstance

from cloud_assets.stages import (
    MACHINES_JOB,
    POWER_CUT_JOB,
    POWER_JOB,
    REASON_TAG,
    REQUESTED_BY_TAG,
    SYSTEM_JOB,
)
from resources.dagster.graphql import Run
from resources.kubernetes import Kubernetes, Reference, nodes
from resources.libvirt import Connection, observe
from tests.doubles.embedded_platform import EmbeddedPlatform
from tests.doubles.kubernetes import ApiServer
from tests.hypervisor.cell import Hypervisor
from tests.machines.conftest import cloud, hpc

pytestmark = [pytest.mark.e2e, pytest.mark.hypervisor, pytest.mark.timeout(900)]

WORKER, NODE = "cloud-cpu-worker-01", "cpu-worker-01"
CLOUD = {"cloud-control-plane", WORKER}
WORKER_TAG = "ai-how/worker"


@dataclass
class Site:
    """A platform that is up, with the two systems that its machines are of."""

    platform: EmbeddedPlatform
    connection: Connection
    kubernetes: Kubernetes

    def ai_how(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return self.platform.ai_how(*words, seconds=300)

    def active(self) -> set[str]:
        return {each.name for each in observe(self.connection).domains if each.is_active} - {"test"}

    def runs(self, reason: str) -> list[Run]:
        """Those for that reason, the first first."""
        return list(reversed(self.platform.graph.runs(tags={REASON_TAG: reason})))

    def is_closed(self) -> bool:
        found = self.kubernetes.get(nodes.node(NODE))
        assert found is not None
        return bool(found["spec"].get("unschedulable"))

    def pod(self, name: str) -> None:
        """One that is ending, for as long as nobody ends it."""
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "1",
                 "controller": True}  # fmt: skip
        about = {"name": name, "namespace": "work", "ownerReferences": [owner],
                 "deletionTimestamp": "2026-01-01T00:00:00Z"}  # fmt: skip
        spec = {"nodeName": NODE, "containers": [{"name": "main", "image": "x"}]}
        self.kubernetes.apply({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec})


@pytest.fixture(scope="module")
def site(hypervisor: Hypervisor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("machines")
    (home / "key.pub").write_text("ssh-ed25519 AAAA somebody\n")
    with Connection(hypervisor.simulated_uri) as connection, ApiServer() as server:
        kubeconfig = server.kubeconfig(home)
        client = Kubernetes(kubeconfig, retry_seconds=2.0)
        client.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}, "spec": {}})
        client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "work"}})
        changes = {
            "machines": {"uri": hypervisor.simulated_uri, "pool_root": "/pools",
                         "ssh_public_key": "key.pub", "drain_timeout_seconds": 240},
            "kubernetes": {"kubeconfig": str(kubeconfig)},
        }  # fmt: skip
        platform = EmbeddedPlatform(home, changes, {"hpc": hpc(), "cloud": cloud()})
        try:
            platform.up()
            yield Site(platform, connection, client)
        finally:
            platform.down()


def only(runs: list[Run], job: str) -> Run:
    """The one run, which succeeded and says who asked for it."""
    assert [(each.job, each.status) for each in runs] == [(job, "SUCCESS")]
    assert runs[0].tags[REQUESTED_BY_TAG] == getpass.getuser()
    return runs[0]


def started(site: Site) -> None:
    ended = site.ai_how("cloud", "start")
    assert ended.returncode == 0, ended.stderr


def test_a_start_is_a_run_and_its_steps_are_told(site: Site) -> None:
    site.ai_how("cloud", "stop", "--force")
    ended = site.ai_how("cloud", "start", "--reason", "the first")
    assert ended.returncode == 0, ended.stderr
    assert site.active() >= CLOUD
    run = only(site.runs("the first"), MACHINES_JOB)
    assert f"run {run.run_id}\n" in ended.stderr
    assert f"{WORKER}: start\n" in ended.stderr
    assert "Kubernetes: 0/1 nodes ready" in ended.stdout
    assert site.ai_how("cloud", "start", "--reason", "again").returncode == 0
    assert site.runs("again") == []


def test_a_machine_that_is_stopped_says_so_on_its_page(site: Site) -> None:
    started(site)
    ended = site.ai_how("vm", "stop", WORKER, "--reason", "a fan", "--json")
    assert ended.returncode == 0, ended.stderr
    run = only(site.runs("a fan"), POWER_JOB)
    assert json.loads(ended.stdout)["run"] == run.run_id
    assert f"{WORKER}: stop\n" in ended.stderr
    assert WORKER not in site.active()
    with DagsterInstance.from_config(str(site.platform.home / "dagster")) as instance:
        [page] = instance.fetch_observations(AssetKey("cloud_cpu_worker_01"), limit=1).records
    seen = page.event_log_entry.asset_observation
    assert seen is not None
    told = {key: each.value for key, each in seen.metadata.items()}
    assert (told["action"], told["requested_by"]) == ("stop", getpass.getuser())
    assert told["reason"] == "a fan"


def test_cutting_the_power_waits_for_nobody(site: Site) -> None:
    started(site)
    assert site.ai_how("vm", "stop", WORKER, "--force", "--reason", "it hangs").returncode == 0
    only(site.runs("it hangs"), POWER_CUT_JOB)
    assert WORKER not in site.active()


def test_what_fails_says_what_mends_it(site: Site) -> None:
    started(site)
    assert site.ai_how("hpc", "start").returncode == 0
    ended = site.ai_how("vm", "start", "cloud-gpu-worker-01")
    assert ended.returncode == 1
    assert "`ai-how vm stop hpc-compute-02` frees it" in ended.stderr
    assert site.ai_how("hpc", "destroy", "--force").returncode == 0


def killed(site: Site, run_id: str) -> None:
    """The process of the run, once it waits for the pod to end."""
    log = site.platform.graph.log

    def waits() -> bool:
        return any("drain waits" in each.text for each in log(run_id).said)

    site.platform.until(waits)
    run = site.platform.graph.run(run_id)
    assert run is not None
    psutil.Process(int(run.tags[WORKER_TAG].partition(":")[0])).kill()


def test_a_stop_that_is_killed_while_it_empties_a_node_goes_on(site: Site) -> None:
    started(site)
    site.pod("slow")
    command = [*_command(), "cloud", "stop", "--reason", "the night", "--json"]
    with subprocess.Popen(
        command, env=_environment(site), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as stop:
        [first] = site.platform.until(lambda: site.runs("the night"))
        killed(site, first.run_id)
        [_, second] = site.platform.until(lambda: _two(site.runs("the night")))
        assert site.is_closed()
        assert site.active() >= CLOUD
        site.kubernetes.delete(Reference("v1", "Pod", "slow", "work"))
        printed, told = stop.communicate(timeout=200)
    assert stop.returncode == 0, told
    assert json.loads(printed)["run"] == second.run_id
    assert f"run {second.run_id} goes on" in told
    assert not CLOUD & site.active()
    assert site.is_closed()
    assert site.ai_how("cloud", "start", "--reason", "the day").returncode == 0
    only(site.runs("the day"), MACHINES_JOB)
    assert not site.is_closed()


def _two(runs: list[Run]) -> list[Run] | None:
    return runs if len(runs) == 2 else None


def _command() -> list[str]:
    return [str(Path(sys.executable).with_name("ai-how"))]


def _environment(site: Site) -> dict[str, str]:
    return {**os.environ, "AI_HOW_CLUSTER": str(site.platform.file), "COLUMNS": "400"}


def test_a_system_whose_cloud_fails_is_as_it_was_and_all_of_it_is_a_run(site: Site) -> None:
    assert site.ai_how("system", "destroy", "--force").returncode == 0
    stranger = (
        "<domain type='test'><name>cloud-gpu-worker-01</name><memory>65536</memory>"
        "<os><type>hvm</type></os></domain>"
    )
    domain = site.connection.handle().defineXML(stranger)
    try:
        ended = site.ai_how("system", "start", "--reason", "the morning")
    finally:
        domain.undefine()
    assert ended.returncode == 1
    assert "is not ours" in ended.stderr
    assert "off again: hpc-compute-01, hpc-compute-02, hpc-controller" in ended.stderr
    assert site.active() == set()
    [run] = site.runs("the morning")
    assert (run.job, run.status) == (SYSTEM_JOB, "FAILURE")
    assert run.tags[REQUESTED_BY_TAG] == getpass.getuser()


def test_a_destroyed_cluster_is_on_record(site: Site) -> None:
    started(site)
    ended = site.ai_how("cloud", "destroy", "--force", "--reason", "the end", "--json")
    assert ended.returncode == 0, ended.stderr
    run = only(site.runs("the end"), POWER_JOB)
    found = json.loads(ended.stdout)
    assert found["run"] == run.run_id
    assert {each["machine"] for each in found["machines"]} >= {*CLOUD, "cloud-network"}
    assert not CLOUD & site.active()
