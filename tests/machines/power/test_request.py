"""What is asked of machines' power: in which order it is done, and what is nonsense."""

import pytest

from cloud_assets.machines.desired import Cluster
from cloud_assets.machines.power.request import Action, Request, Wave, cluster_of, waves
from resources.errors import UsageError
from tests.machines.conftest import cloud, hpc, wanted

DESIRED = wanted(hpc=hpc(), cloud=cloud())
HPC, CLOUD = DESIRED.clusters
LEADER, FIRST, SECOND = (each.name for each in CLOUD.machines)
ALL = (LEADER, FIRST, SECOND)


def order(action: Action, cluster: Cluster = CLOUD, **more: tuple[str, ...]) -> list[Wave]:
    request = Request(action, cluster=cluster.kind)
    names = tuple(each.name for each in cluster.machines)
    there, active = more.get("there", names), more.get("active", names)
    return list(waves(request, cluster, there, active))


def test_workers_stop_before_the_machine_that_leads_them() -> None:
    assert order(Action.stop) == [Wave("stop", (FIRST, SECOND)), Wave("stop", (LEADER,))]


def test_what_is_not_there_is_left_out() -> None:
    assert order(Action.stop, there=(FIRST,)) == [Wave("stop", (FIRST,))]
    assert order(Action.stop, there=()) == []


def test_the_machine_that_leads_starts_first_and_what_is_left_off_stays_off() -> None:
    assert order(Action.start) == [Wave("start", (LEADER,)), Wave("start", (FIRST,))]


def test_after_a_restart_runs_what_ran_before() -> None:
    assert order(Action.restart, active=(LEADER, SECOND)) == [
        Wave("stop", (FIRST, SECOND)),
        Wave("stop", (LEADER,)),
        Wave("start", (LEADER,)),
        Wave("start", (SECOND,)),
    ]


@pytest.mark.parametrize(
    ("action", "actions"),
    [(Action.start, ["start"]), (Action.stop, ["stop"]), (Action.restart, ["stop", "start"])],
)
def test_single_machines_are_taken_at_once(action: Action, actions: list[str]) -> None:
    found = waves(Request(action, (FIRST, LEADER)), None, ALL, ALL)
    assert [each.action for each in found] == actions
    assert {each.machines for each in found} == {(FIRST, LEADER)}


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (Request(Action.stop), "one of both"),
        (Request(Action.stop, (FIRST,), "hpc"), "one of both"),
        (Request(Action.destroy, (FIRST,)), "not single machines"),
    ],
)
def test_nonsense_is_told(request_: Request, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        cluster_of(request_, DESIRED)


def test_a_cluster_that_the_file_has_not_is_told() -> None:
    with pytest.raises(UsageError, match="no cloud cluster"):
        cluster_of(Request(Action.stop, cluster="cloud"), wanted(hpc=hpc()))


@pytest.mark.parametrize(
    ("request_", "empties"),
    [
        (Request(Action.stop, cluster="hpc"), True),
        (Request(Action.stop, cluster="hpc", force=True), False),
        (Request(Action.stop, cluster="hpc", drain=False), False),
        (Request(Action.stop, (FIRST,)), False),
    ],
)
def test_nodes_of_whole_clusters_are_emptied_unless_somebody_says_no(
    request_: Request, empties: bool
) -> None:
    assert request_.empties is empties
