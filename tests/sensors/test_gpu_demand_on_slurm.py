"""The `gpu_demand` sensor, ticked where the jobs are those of a real Slurm.

Kubernetes is the API server double, or the testbed's, of which it only lists the pods; the machines
are domains of libvirt's test driver.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import dagster as dg
import pytest

from cloud_assets.machines.gpus.assets import build_jobs, gpu_owner
from cloud_assets.machines.gpus.demand import Demand, of_pods
from cloud_assets.machines.gpus.site import GpuSite
from cloud_assets.settings.platform import Kubernetes as KubernetesSettings
from cloud_assets.settings.platform import Slurm as SlurmSettings
from resources.libvirt import holder
from resources.slurm import Slurm
from sensors import gpu_demand
from tests.doubles.kubernetes import ApiServer
from tests.hypervisor.bound import require_bindings
from tests.machines.gpus import site as sites
from tests.machines.gpus.site import GPU, SERVES, TRAINS, define, machine
from tests.slurm.cell import Running
from tests.testbed.cluster import Cluster
from tests.waiting import until

pytestmark = pytest.mark.slurm

SECONDS = 60.0
OURS = "ai-how: "


class Later(datetime):
    """A clock that is a minute ahead: what waits has waited long enough to be taken seriously."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + timedelta(minutes=1)


@dataclass
class World:
    """The machine that serves has the GPU, so the node of the other takes no jobs."""

    site: GpuSite
    slurm: Slurm

    @property
    def owner(self) -> str:
        found = holder(self.site.connection, GPU)
        return found.name if found else ""

    def tick(self) -> list[dg.RunRequest | dg.SkipReason]:
        """What one gives where the owner has had the GPU for long."""
        jobs = build_jobs(self.site)
        (sensor,) = gpu_demand.build_sensors(jobs)
        graph = dg.Definitions([gpu_owner], jobs=jobs, resources={"gpu_site": self.site})
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(
                instance=instance, cursor=json.dumps({GPU: [self.owner, 0.0]}),
                resources={"gpu_site": self.site}, definitions=graph,
            )  # fmt: skip
            found: object = sensor(context)
            assert isinstance(found, Iterator)
            return list(found)

    def execute(self, request: dg.RunRequest) -> None:
        """The run that was asked for."""
        [job] = build_jobs(self.site)
        graph = dg.Definitions([gpu_owner], jobs=[job], resources={"gpu_site": self.site})
        found = graph.resolve_job_def(job.name)
        with dg.DagsterInstance.ephemeral() as instance:
            assert found.execute_in_process(
                run_config=request.run_config, instance=instance
            ).success

    def skipped(self) -> str:
        (found,) = self.tick()
        assert isinstance(found, dg.SkipReason)
        return str(found.skip_message)

    def requested(self) -> dg.RunRequest:
        (found,) = self.tick()
        assert isinstance(found, dg.RunRequest)
        return found

    def waiting_job(self) -> int:
        number = self.slurm.submit("sleep 600", gpus=1)
        until(lambda: any(each.is_pending and each.reason for each in self.slurm.jobs()))
        return number


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Path]:
    with ApiServer() as server:
        yield server.kubeconfig(tmp_path)


def _demand(cluster: Cluster) -> Demand:
    return of_pods(cluster.kubectl.get("pods", "--all-namespaces")["items"], datetime.now(UTC))


@pytest.fixture(params=["double", pytest.param("testbed", marks=pytest.mark.testbed)])
def kubeconfig(request: pytest.FixtureRequest) -> Path:
    if request.param == "testbed":
        cluster: Cluster = request.getfixturevalue("cluster")
        # What other tests had there may be about to go.
        until(lambda: _demand(cluster) == Demand())
        return cluster.kubeconfig
    found: Path = request.getfixturevalue("double")
    return found


@pytest.fixture
def world(
    slurm_cell: Running, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    require_bindings()
    monkeypatch.setattr(gpu_demand, "datetime", Later)
    bare, slurm = sites.site(), Slurm(slurm_cell.configuration)
    known = {
        "slurm": SlurmSettings(
            configuration=slurm_cell.configuration, nodes={TRAINS: slurm_cell.node}
        ),
        "kubernetes": KubernetesSettings(kubeconfig=kubeconfig),
    }
    site = GpuSite(bare.settings.model_copy(update=known), bare.desired)
    slurm.drain(slurm_cell.node, f"{OURS}the cloud has the GPU")
    try:
        with site.connection:
            for each in (TRAINS, SERVES):
                define(site.connection, machine(site.desired, each), start=each == SERVES)
            yield World(site, slurm)
    finally:
        for job in slurm.jobs():
            if job.is_pending or job.is_running:
                slurm.cancel(job.number)
        slurm.resume(slurm_cell.node)
        until(lambda: not any(each.is_busy or each.takes_no_jobs for each in slurm.nodes()))


def test_a_job_that_waits_for_a_gpu_asks_for_the_switch(world: World) -> None:
    world.waiting_job()
    request = world.requested()
    given = request.run_config["ops"]["gpu_owner"]["config"]
    assert (given["gpu"], given["to"], given["requested_by"]) == (GPU, TRAINS, "gpu_demand")
    assert given["reason"] == "hpc waits for it and cloud does nothing with it"


def test_where_nothing_waits_it_says_so(world: World) -> None:
    assert f"{GPU}: hpc does not wait for it" in world.skipped()


def test_a_job_without_gpus_is_no_reason(world: World) -> None:
    world.slurm.submit("sleep 600")
    until(lambda: any(each.is_pending and each.reason for each in world.slurm.jobs()))
    assert f"{GPU}: hpc does not wait for it" in world.skipped()


@pytest.mark.parametrize("kubeconfig", ["double"], indirect=True)
def test_the_run_that_it_asks_for_has_the_job_run(world: World) -> None:
    number = world.waiting_job()
    world.execute(world.requested())
    assert world.owner == TRAINS
    until(lambda: any(each.number == number and each.is_running for each in world.slurm.jobs()))
    assert f"{GPU}: cloud does not wait for it" in world.skipped()
