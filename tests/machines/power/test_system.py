"""Both clusters started on libvirt's test driver: failures, and attempts that were cut off."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloud_assets.machines.applying.progress import Step
from cloud_assets.machines.converge import Result
from cloud_assets.machines.desired import Cluster
from cloud_assets.machines.host import Host
from cloud_assets.machines.plan import Plan
from cloud_assets.machines.power import before, system
from cloud_assets.machines.power.execution import Ground, Record
from cloud_assets.machines.power.schedulers import Schedulers
from cloud_assets.settings import Settings
from cloud_assets.settings.machines import Machines
from resources.errors import NeedsRepair, PermanentError
from resources.libvirt import Connection, Identity, domains
from tests.machines.conftest import Lab, cloud, hpc, wanted

URI = "test:///default"
HPC = {"hpc-controller", "hpc-compute-01", "hpc-compute-02"}
CLOUD = {"cloud-control-plane", "cloud-cpu-worker-01"}


class CutOff(BaseException):
    """In the place of a kill: nothing that the code catches."""


@dataclass
class Attempt:
    """Attempts in one home, with all that is told, made and kept of them."""

    home: Path
    steps: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    kept: list[Record] = field(default_factory=list)

    def __call__(self) -> None:
        key = self.home / "key.pub"
        key.write_text("ssh-ed25519 AAAA somebody\n")
        settings = Machines(uri=URI, pool_root=Path("/pools"), ssh_public_key=key)
        host = Host(settings, wanted(hpc=hpc(), cloud=cloud()))
        ground = Ground(host, Schedulers(Settings()), self.home / "logs", self._told,
                        self.kept.append)  # fmt: skip
        system.start(ground, self.home, self._made)

    @property
    def is_over(self) -> bool:
        return before.unfinished(self.home, URI) is None

    def _told(self, step: Step) -> None:
        self.steps.append(str(step))

    def _made(self, cluster: Cluster, _: Plan, __: Sequence[Result]) -> None:
        self.made.append(cluster.name)


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(tmp_path)


Break = Callable[[str, BaseException], None]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Break:
    """Has a machine not start, or the attempt end where it would."""
    original = domains.start

    def one(name: str, error: BaseException) -> None:
        def start(connection: Connection, identity: Identity) -> bool:
            if identity.name == name:
                raise error
            return original(connection, identity)

        monkeypatch.setattr(domains, "start", start)

    return one


NO_ROOM = PermanentError("libvirt", "start it", "there is no room")


def test_hpc_comes_before_the_cloud_and_then_it_is_over(lab: Lab, attempt: Attempt) -> None:
    attempt()
    assert lab.active() == HPC | CLOUD
    assert attempt.made == ["hpc", "cloud"]
    assert attempt.is_over


def test_what_is_as_it_should_be_is_not_touched(lab: Lab, attempt: Attempt) -> None:
    attempt()
    attempt.made.clear()
    attempt()
    assert (attempt.made, lab.active()) == ([], HPC | CLOUD)


def test_a_failure_puts_back_and_is_over(lab: Lab, attempt: Attempt, broken: Break) -> None:
    broken("cloud-cpu-worker-01", NO_ROOM)
    with pytest.raises(NeedsRepair, match=r"no room; off again: cloud-control-plane, hpc-"):
        attempt()
    assert lab.active() == set()
    assert {each.machine for each in attempt.kept} == HPC | {"cloud-control-plane"}
    assert "system: take back stop cloud-control-plane, hpc-compute-01" in "\n".join(attempt.steps)
    assert attempt.is_over


def test_an_attempt_that_is_cut_off_leaves_what_it_started(
    lab: Lab, attempt: Attempt, broken: Break
) -> None:
    broken("cloud-control-plane", CutOff())
    with pytest.raises(CutOff):
        attempt()
    assert lab.active() >= HPC
    assert not attempt.is_over


@pytest.mark.parametrize("ran", [set(), {"hpc-controller"}])
def test_a_failure_after_that_puts_back_what_the_first_attempt_found(
    lab: Lab, attempt: Attempt, broken: Break, ran: set[str]
) -> None:
    if ran:
        lab.apply(wanted(hpc=hpc()))
        for name in HPC - ran:
            lab.connection.handle().lookupByName(name).destroy()
    broken("cloud-control-plane", CutOff())
    with pytest.raises(CutOff):
        attempt()
    broken("cloud-control-plane", NO_ROOM)
    with pytest.raises(NeedsRepair, match="off again: "):
        attempt()
    assert lab.active() == ran
    assert any("goes on with what began at" in each for each in attempt.steps)
    assert attempt.is_over


def test_after_being_cut_off_the_next_attempt_goes_through(
    lab: Lab, attempt: Attempt, broken: Break
) -> None:
    broken("cloud-control-plane", CutOff())
    with pytest.raises(CutOff):
        attempt()
    broken("", CutOff())
    attempt()
    assert lab.active() == HPC | CLOUD
    assert attempt.is_over


def test_what_cannot_be_put_back_is_kept_for_the_next(
    lab: Lab, attempt: Attempt, broken: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken("cloud-cpu-worker-01", NO_ROOM)

    def busy(*_: object, **__: object) -> bool:
        raise PermanentError("libvirt", "shut it down", "it is busy")

    with monkeypatch.context() as stuck:
        stuck.setattr(domains, "shutdown", busy)
        with pytest.raises(NeedsRepair, match=r"no room; not all was put back: .*it is busy"):
            attempt()
    assert not attempt.is_over
    with pytest.raises(NeedsRepair, match="off again"):
        attempt()
    assert lab.active() == set()
