"""Nodes before their machines go off together and after they are back: who closes, who opens."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_assets.machines.applying.progress import nobody
from cloud_assets.machines.desired import Cluster
from cloud_assets.machines.gpus.adapters import OURS
from cloud_assets.machines.power.emptying import empty, open_again
from cloud_assets.machines.power.schedulers import Schedulers
from cloud_assets.settings import Settings
from resources.errors import NeedsRepair
from resources.kubernetes import nodes
from resources.slurm import Slurm
from tests.machines.conftest import cloud, hpc, wanted
from tests.machines.power.conftest import WORKER, Nodes
from tests.slurm.cell import Running

HPC, CLOUD = wanted(hpc=hpc(), cloud=cloud()).clusters


def emptied(kubernetes: Nodes) -> dict[str, str]:
    return dict(
        empty(CLOUD, CLOUD.machines, Schedulers(kubernetes.settings), because="cloud stop",
              told=kubernetes.told)
    )  # fmt: skip


def opened(kubernetes: Nodes, patience: float = 0.0) -> None:
    open_again(CLOUD, CLOUD.machines, Schedulers(kubernetes.settings), patience=patience,
               told=kubernetes.told)  # fmt: skip


def test_pods_leave_a_node_that_is_closed_and_opened_again(kubernetes: Nodes) -> None:
    kubernetes.pod("goes")
    assert emptied(kubernetes) == {}
    assert (kubernetes.pods(), kubernetes.is_closed) == ([], True)
    opened(kubernetes)
    assert not kubernetes.is_closed
    assert kubernetes.steps[-1] == f"cloud-cpu-worker-01: open node {WORKER}"


def test_what_a_budget_holds_up_is_left_and_told(kubernetes: Nodes) -> None:
    kubernetes.pod("goes")
    kubernetes.pod("kept")
    kubernetes.server.kept_by_budget = {"kept"}
    left = emptied(kubernetes)
    assert list(left) == ["work/kept"]
    assert "disruption budget" in left["work/kept"]
    assert kubernetes.pods() == ["kept"]
    assert any("leaves the pod work/kept" in each for each in kubernetes.steps)


def test_a_pod_that_nothing_would_start_again_stays_for_its_kubelet(kubernetes: Nodes) -> None:
    kubernetes.pod("alone", alone=True)
    assert emptied(kubernetes) == {"work/alone": "nothing would start it again"}
    assert (kubernetes.pods(), kubernetes.is_closed) == (["alone"], True)


def test_a_pod_that_does_not_end_is_left_once_the_time_is_over(kubernetes: Nodes) -> None:
    kubernetes.pod("slow", deletionTimestamp="2026-01-01T00:00:00Z")
    short = kubernetes.settings.machines.model_copy(update={"drain_timeout_seconds": 0.2})
    kubernetes.settings = kubernetes.settings.model_copy(update={"machines": short})
    assert emptied(kubernetes) == {"work/slow": "it is ending"}


def test_a_node_that_somebody_else_closed_stays_closed(kubernetes: Nodes) -> None:
    kubernetes.client.patch(nodes.node(WORKER), {"spec": {"unschedulable": True}})
    emptied(kubernetes)
    opened(kubernetes)
    assert kubernetes.is_closed


def test_a_server_that_does_not_answer_is_told_and_left_out(kubernetes: Nodes) -> None:
    kubernetes.server.forbidden = {"nodes"}
    assert emptied(kubernetes) == {}
    opened(kubernetes)
    assert ["left out" in each for each in kubernetes.steps] == [True, True]


def test_a_server_that_comes_up_late_is_waited_for(kubernetes: Nodes) -> None:
    emptied(kubernetes)
    kubernetes.server.fail(503, times=1, Retry_After="600")
    opened(kubernetes, patience=60.0)
    assert not kubernetes.is_closed


@pytest.mark.parametrize("cluster", [HPC, CLOUD])
def test_without_a_scheduler_it_is_left_out_in_a_word(cluster: Cluster) -> None:
    said: list[str] = []
    schedulers = Schedulers(Settings())
    told = lambda step: said.append(str(step))  # noqa: E731
    assert empty(cluster, cluster.machines, schedulers, because="stop", told=told) == {}
    open_again(cluster, cluster.machines, schedulers, patience=0.0, told=told)
    assert len(said) == 1
    assert "left out: no" in said[0]


@pytest.fixture
def slurm(slurm_cell: Running) -> Iterator[Slurm]:
    found = Slurm(slurm_cell.configuration)
    yield found
    for each in found.jobs():
        found.cancel(each.number)
    found.resume(slurm_cell.node)
    found.wait_ready(slurm_cell.node, timeout_seconds=60)


def of_the_cell(slurm_cell: Running, seconds: float) -> tuple[Cluster, Schedulers]:
    """The cluster whose first compute node is the cell's, with the time that jobs have."""
    leader, first, *others = HPC.machines
    cluster = replace(HPC, machines=(leader, replace(first, hostname=slurm_cell.node), *others))
    given = {"slurm": {"configuration": str(slurm_cell.configuration)},
             "machines": {"drain_timeout_seconds": seconds}}  # fmt: skip
    return cluster, Schedulers(Settings.model_validate(given).resolved(Path("/")))


@pytest.mark.slurm
def test_a_node_of_slurm_is_drained_with_our_reason_and_resumed(
    slurm: Slurm, slurm_cell: Running
) -> None:
    cluster, schedulers = of_the_cell(slurm_cell, 60.0)
    empty(cluster, cluster.machines, schedulers, because="hpc stop", told=nobody)
    node = slurm.node(slurm_cell.node)
    assert node is not None
    assert (node.is_drained, node.reason) == (True, f"{OURS}hpc stop")
    open_again(cluster, cluster.machines, schedulers, patience=0.0, told=nobody)
    slurm.wait_ready(slurm_cell.node, timeout_seconds=60)


@pytest.mark.slurm
def test_a_job_that_does_not_end_keeps_the_machines_on_and_the_node_open(
    slurm: Slurm, slurm_cell: Running
) -> None:
    number = slurm.submit("sleep 300", name="training")
    # One that is still in the queue keeps no node.
    while not any(each.is_running for each in slurm.jobs() if each.number == number):
        time.sleep(0.1)
    cluster, schedulers = of_the_cell(slurm_cell, 3.0)
    with pytest.raises(NeedsRepair, match="training") as raised:
        empty(cluster, cluster.machines, schedulers, because="hpc stop", told=nobody)
    assert "--no-drain" in str(raised.value.hint)
    node = slurm.node(slurm_cell.node)
    assert node is not None
    assert not node.takes_no_jobs


@pytest.mark.slurm
def test_a_node_of_slurm_that_somebody_else_closed_stays_closed(
    slurm: Slurm, slurm_cell: Running
) -> None:
    slurm.drain(slurm_cell.node, "a bad fan")
    cluster, schedulers = of_the_cell(slurm_cell, 60.0)
    empty(cluster, cluster.machines, schedulers, because="hpc stop", told=nobody)
    open_again(cluster, cluster.machines, schedulers, patience=0.0, told=nobody)
    node = slurm.node(slurm_cell.node)
    assert node is not None
    assert (node.takes_no_jobs, node.reason) == (True, "a bad fan")
