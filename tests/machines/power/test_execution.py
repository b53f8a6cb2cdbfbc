"""Machines' power on libvirt's test driver: what is done and kept of it, what fails halfway."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from cloud_assets.machines.applying.progress import Step
from cloud_assets.machines.desired import Desired
from cloud_assets.machines.host import Host
from cloud_assets.machines.power.execution import Ground, Outcome, Record, carry_out
from cloud_assets.machines.power.request import Action, Request
from cloud_assets.machines.power.schedulers import Schedulers
from cloud_assets.settings import Settings
from cloud_assets.settings.machines import Machines
from resources.errors import ExternalError, PermanentError
from resources.libvirt import Connection, Identity, NotFound, domains
from tests.machines.conftest import Lab, cloud, hpc, wanted
from tests.machines.power.conftest import Nodes

DESIRED = wanted(hpc=hpc(), cloud=cloud())
WORKER, LEADER = "cloud-cpu-worker-01", "cloud-control-plane"
CLOUD_STOP = Request(Action.stop, cluster="cloud")


@dataclass
class Done:
    """What is done in a laboratory, with all that is told and kept of it."""

    home: Path
    desired: Desired = DESIRED
    settings: Settings = field(default_factory=Settings)
    steps: list[str] = field(default_factory=list)
    kept: list[Record] = field(default_factory=list)

    def told(self, step: Step) -> None:
        self.steps.append(f"{step.name} {step.phase}")

    def __call__(self, request: Request) -> Outcome:
        host = Host(Machines(uri="test:///default"), self.desired)
        ground = Ground(
            host, Schedulers(self.settings), self.home / "logs", self.told, self.kept.append
        )
        return carry_out(request, ground)


@pytest.fixture
def do(lab: Lab, tmp_path: Path) -> Done:
    lab.apply(DESIRED)
    return Done(tmp_path)


def test_a_cluster_stops_workers_first(lab: Lab, do: Done) -> None:
    done = do(CLOUD_STOP)
    assert [(each.machine, each.outcome) for each in done.records] == [
        (WORKER, "done"), ("cloud-gpu-worker-01", "as it was"), (LEADER, "done")
    ]  # fmt: skip
    assert do.kept == list(done.records)
    assert lab.active() == {"hpc-controller", "hpc-compute-01", "hpc-compute-02"}


def test_a_second_time_nothing_is_done(lab: Lab, do: Done) -> None:
    do(CLOUD_STOP)
    assert {each.outcome for each in do(CLOUD_STOP).records} == {"as it was"}


def test_a_cluster_that_is_not_there_is_nothing_to_do(lab: Lab, tmp_path: Path) -> None:
    assert Done(tmp_path)(CLOUD_STOP).records == ()


def test_a_restart_brings_back_what_ran(lab: Lab, do: Done) -> None:
    before = lab.active()
    do(Request(Action.restart, cluster="cloud"))
    assert lab.active() == before
    assert do.steps.index(f"{LEADER} stop") < do.steps.index(f"{LEADER} start")


def test_a_machine_is_stopped_and_started_by_its_name(lab: Lab, do: Done) -> None:
    do(Request(Action.stop, (WORKER,)))
    assert WORKER not in lab.active()
    do(Request(Action.start, (WORKER,)))
    assert WORKER in lab.active()


def test_nothing_is_done_where_one_of_the_names_is_wrong(lab: Lab, do: Done) -> None:
    before = lab.active()
    with pytest.raises(NotFound, match="there is no such machine"):
        do(Request(Action.stop, (WORKER, "nobody")))
    assert lab.active() == before


def test_a_machine_that_fails_is_told_and_the_others_of_its_wave_go_on(
    lab: Lab, do: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    destroy = domains.destroy

    def failing(connection: Connection, identity: Identity) -> bool:
        if identity.name == WORKER:
            raise PermanentError("libvirt", "cut it off", "it hangs")
        return destroy(connection, identity)

    monkeypatch.setattr(domains, "destroy", failing)
    with pytest.raises(ExternalError, match="it hangs"):
        do(Request(Action.stop, ("hpc-compute-01", WORKER), force=True))
    assert "hpc-compute-01" not in lab.active()
    assert {each.machine: each.outcome for each in do.kept} == {
        "hpc-compute-01": "done", WORKER: "failed"
    }  # fmt: skip


def test_a_cluster_is_destroyed_and_what_is_gone_is_kept(lab: Lab, do: Done) -> None:
    done = do(Request(Action.destroy, cluster="cloud"))
    assert {each.machine for each in done.records} == {
        LEADER, WORKER, "cloud-gpu-worker-01", "cloud-pool", "cloud-network"
    }  # fmt: skip
    assert do.kept == list(done.records)
    assert do(Request(Action.destroy, cluster="cloud")).records == ()


@pytest.fixture
def served(do: Done, kubernetes: Nodes) -> Done:
    do.settings = kubernetes.settings
    return do


def test_nodes_are_emptied_before_and_open_once_their_machines_are_back(
    lab: Lab, served: Done, kubernetes: Nodes
) -> None:
    kubernetes.pod("kept")
    kubernetes.server.kept_by_budget = {"kept"}
    assert list(served(CLOUD_STOP).left) == ["work/kept"]
    assert kubernetes.is_closed
    assert served.steps.index("cloud drain") < served.steps.index(f"{WORKER} stop")
    served(Request(Action.start, (WORKER,)))
    assert not kubernetes.is_closed


@pytest.mark.parametrize(
    "request_",
    [Request(Action.stop, cluster="cloud", force=True), replace(CLOUD_STOP, drain=False)],
)
def test_who_says_so_has_nothing_emptied(
    served: Done, kubernetes: Nodes, request_: Request
) -> None:
    kubernetes.pod("goes")
    served(request_)
    assert (kubernetes.pods(), kubernetes.is_closed) == (["goes"], False)


def test_a_node_whose_machine_could_not_be_stopped_is_open_again(
    lab: Lab, served: Done, kubernetes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> bool:
        raise PermanentError("libvirt", "shut it down", "it is busy")

    monkeypatch.setattr(domains, "shutdown", failing)
    with pytest.raises(ExternalError, match="it is busy"):
        served(CLOUD_STOP)
    assert WORKER in lab.active()
    assert not kubernetes.is_closed
