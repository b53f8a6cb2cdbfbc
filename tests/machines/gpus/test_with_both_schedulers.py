"""A GPU between a real Slurm and a real Kubernetes: work decides when it goes, and whither.

The machines are domains of libvirt's test driver; their nodes go by other names and stay up.
"""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloud_assets.machines.gpus.demand import Ruling
from cloud_assets.machines.gpus.execution import Record, SwitchFailed
from cloud_assets.machines.gpus.ports import AS_SET, Draining
from cloud_assets.machines.gpus.site import GpuSite
from cloud_assets.settings.platform import Kubernetes as KubernetesSettings
from cloud_assets.settings.platform import Slurm as SlurmSettings
from resources.kubernetes import Kubernetes, nodes
from resources.libvirt import holder
from resources.slurm import Slurm
from sensors import gpu_demand
from tests.machines.gpus import site as sites
from tests.machines.gpus.site import GPU, SERVES, TRAINS, define, machine
from tests.slurm.cell import Running
from tests.testbed import gpus, pins
from tests.testbed.cluster import Cluster
from tests.waiting import until

pytestmark = [
    pytest.mark.testbed, pytest.mark.slurm, pytest.mark.disruptive, pytest.mark.timeout(900)
]  # fmt: skip

SECONDS = 120.0


@dataclass
class World:
    """Two machines, each of them a node of its scheduler; the one that trains has the GPU."""

    site: GpuSite
    slurm: Slurm
    kubernetes: Kubernetes
    cluster: Cluster
    #: In Slurm and in Kubernetes.
    nodes: tuple[str, str]
    said: list[str] = field(default_factory=list)

    def switch(self, to: str, draining: Draining = AS_SET) -> tuple[Record, ...]:
        plan = self.site.plan(GPU, to, draining)
        because = f"GPU {GPU} goes to {to}"
        return self.site.carry_out(plan, because=because, say=self.said.append, draining=draining)

    @contextmanager
    def switching(self, to: str) -> Iterator["Future[tuple[Record, ...]]"]:
        with ThreadPoolExecutor(1) as beside:
            yield beside.submit(self.switch, to)

    @property
    def owner(self) -> str:
        found = holder(self.site.connection, GPU)
        return found.name if found else ""

    @property
    def slurm_takes_jobs(self) -> bool:
        found = self.slurm.node(self.nodes[0])
        return found is not None and not found.takes_no_jobs

    @property
    def kubernetes_takes_pods(self) -> bool:
        found = self.kubernetes.get(nodes.node(self.nodes[1]))
        return found is not None and not found["spec"].get("unschedulable")

    def works(self) -> bool:
        """Whether the owner's node takes work, and the other's none."""
        open_ones = (self.slurm_takes_jobs, self.kubernetes_takes_pods)
        return open_ones == (self.owner == TRAINS, self.owner == SERVES)

    def ruled(self, *, held: float, later: float = 60.0) -> Ruling:
        """What the sensor would do `later`, when the owner has had the GPU for `held` seconds."""
        now = datetime.now(UTC) + timedelta(seconds=later)
        demands = gpu_demand.measured(self.site, now)
        assert demands is not None
        gpu = next(each for each in self.site.look()[1] if each.address == GPU)
        seen = {GPU: (self.owner, now.timestamp() - held)}
        return gpu_demand.ruling(gpu, demands, seen, self.site, now.timestamp())


def settled(site: GpuSite, slurm: Running, kubeconfig: Path, node: str) -> GpuSite:
    """The site with both schedulers, whose nodes have names of their own."""
    known = {
        "slurm": SlurmSettings(configuration=slurm.configuration, nodes={TRAINS: slurm.node}),
        "kubernetes": KubernetesSettings(kubeconfig=kubeconfig, nodes={SERVES: node}),
    }
    return GpuSite(site.settings.model_copy(update=known), site.desired)


@pytest.fixture
def world(slurm_cell: Running, cluster: Cluster) -> Iterator[World]:
    if cluster.places is None or len(cluster.nodes) < 2:
        pytest.skip("it would drain a node of somebody else's, or the only one")
    node = cluster.nodes[1]
    site = settled(sites.site(), slurm_cell, cluster.kubeconfig, node)
    slurm, kubernetes = Slurm(slurm_cell.configuration), Kubernetes(cluster.kubeconfig)
    nodes.cordon(kubernetes, node, "a test: the other machine has the GPU")
    try:
        with site.connection:
            for each in (TRAINS, SERVES):
                define(site.connection, machine(site.desired, each), start=each == TRAINS)
            yield World(site, slurm, kubernetes, cluster, (slurm_cell.node, node))
    finally:
        for job in slurm.jobs():
            if job.is_pending or job.is_running:
                slurm.cancel(job.number)
        slurm.resume(slurm_cell.node)
        until(lambda: not any(each.is_busy for each in slurm.nodes()), SECONDS)
        nodes.uncordon(kubernetes, node)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def served(world: World, namespace: str) -> None:
    """A pod that is on the second node while that takes any, and a budget that wants one up."""
    preference = {
        "weight": 100,
        "preference": {
            "matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "In", "values": [world.nodes[1]]}
            ]
        },
    }
    spec = {
        "terminationGracePeriodSeconds": 0,
        "affinity": {
            "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [preference]}
        },
        "containers": [{"name": "main", "image": pins.BUSYBOX_IMAGE, "command": ["sleep", "3600"]}],
    }
    labels = {"app": "served"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "served", "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "served", "namespace": namespace},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}},
    }
    for each in (deployment, budget):
        world.cluster.kubectl.apply(json.dumps(each))
    scaled(world, namespace, 1)


def scaled(world: World, namespace: str, replicas: int) -> None:
    where = ("--namespace", namespace)
    world.cluster.kubectl("scale", "deployment/served", f"--replicas={replicas}", *where)
    available = f"jsonpath={{.status.availableReplicas}}={replicas}"
    world.cluster.kubectl.wait("deployment/served", available, *where)


def places(world: World, namespace: str) -> set[str]:
    pods = world.cluster.kubectl.get("pods", "--namespace", namespace)["items"]
    return {
        each["spec"]["nodeName"] for each in pods if "deletionTimestamp" not in each["metadata"]
    }


def test_a_job_that_runs_delays_the_switch_until_it_ends(world: World, tmp_path: Path) -> None:
    end = tmp_path / "end"
    number = world.slurm.submit(f"until [ -e {end} ]; do sleep 0.1; done", gpus=1, name="train")
    until(lambda: any(each.is_running for each in world.slurm.jobs()), SECONDS)
    with world.switching(SERVES) as switched:
        until(lambda: any(f"with the jobs {number} (train" in each for each in world.said), SECONDS)
        assert world.owner == TRAINS
        assert not world.slurm_takes_jobs
        end.touch()
        records = switched.result(timeout=SECONDS)
    assert [each.outcome for each in records] == ["done"] * 5
    assert (world.owner, world.works()) == (SERVES, True)


def test_a_job_that_does_not_end_is_named_and_by_force_it_is_cut_off(world: World) -> None:
    number = world.slurm.submit("sleep 600", gpus=1, name="train")
    until(lambda: any(each.is_running for each in world.slurm.jobs()), SECONDS)
    with pytest.raises(SwitchFailed, match=rf"with the jobs {number} \(train") as failed:
        world.switch(SERVES, Draining(seconds=1))
    assert "`--force`" in str(failed.value.hint)
    assert (world.owner, world.works()) == (TRAINS, True)
    drained, *others = world.switch(SERVES, Draining(seconds=1, force=True))
    assert drained.outcome == "forced"
    assert {each.outcome for each in others} == {"done"}
    assert (world.owner, world.works()) == (SERVES, True)
    [job] = [each for each in world.slurm.jobs() if each.number == number]
    assert job.is_pending


def test_a_budget_keeps_the_gpu_until_another_pod_is_up(world: World, namespace: str) -> None:
    world.switch(SERVES)
    served(world, namespace)
    assert places(world, namespace) == {world.nodes[1]}
    with pytest.raises(SwitchFailed, match=rf"{namespace}/served-\S+ \(.*budget") as failed:
        world.switch(TRAINS, Draining(seconds=2))
    assert "the former owner is back" in str(failed.value)
    assert (world.owner, world.works()) == (SERVES, True)
    scaled(world, namespace, 2)
    world.switch(TRAINS)
    assert (world.owner, world.works()) == (TRAINS, True)
    assert places(world, namespace) == {world.cluster.nodes[0]}


def test_what_waits_for_gpus_decides_after_the_least_time(world: World, namespace: str) -> None:
    world.switch(SERVES)
    with gpus.advertised(world.cluster):
        world.slurm.submit("sleep 600", gpus=1)
        until(lambda: any(each.is_pending for each in world.slurm.jobs()), SECONDS)
        assert world.ruled(held=899).why == "cloud has had it for less than 900 s"
        assert world.ruled(held=901).to == "hpc"
        asks = {"limits": {gpus.GPU: "1"}}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "asks", "namespace": namespace},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "tolerations": [{"key": gpus.GPU, "operator": "Exists"}],
                "containers": [
                    {"name": "main", "image": pins.BUSYBOX_IMAGE, "command": ["sleep", "3600"],
                     "resources": asks}
                ],
            },
        }  # fmt: skip
        world.cluster.kubectl.apply(json.dumps(pod))
        world.cluster.kubectl.wait("pod/asks", "condition=Ready", "--namespace", namespace)
        assert world.ruled(held=3000).why == (
            "cloud works with it, and hpc has not waited long enough"
        )
        assert world.ruled(held=4000, later=4000).to == "hpc"
        world.cluster.kubectl("delete", "pod", "asks", "--namespace", namespace)
    world.cluster.kubectl.apply(json.dumps(pod))
    unplaced = "jsonpath={.status.conditions[?(@.type=='PodScheduled')].status}=False"
    world.cluster.kubectl.wait("pod/asks", unplaced, "--namespace", namespace)
    world.switch(TRAINS)
    for each in world.slurm.jobs():
        world.slurm.cancel(each.number)
    until(
        lambda: not any(each.is_pending or each.is_running for each in world.slurm.jobs()), SECONDS
    )
    assert world.ruled(held=899).why == "hpc has had it for less than 900 s"
    assert world.ruled(held=901).to == "cloud"
