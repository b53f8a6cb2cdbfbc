"""Nodes and jobs of a real Slurm: closing, emptying and opening a node, and what is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resources.errors import DeadlineExceeded, PermanentError, TransientError
from resources.slurm import Job, NotFound, Slurm
from tests.slurm.cell import GPUS, Running
from tests.waiting import until

pytestmark = pytest.mark.slurm

SECONDS = 60.0


@pytest.fixture
def slurm(slurm_cell: Running) -> Iterator[Slurm]:
    """With an idle node and no jobs, before and after each test."""
    found = Slurm(slurm_cell.configuration)
    yield found
    for each in found.jobs():
        if each.is_pending or each.is_running:
            found.cancel(each.number)
    found.resume(slurm_cell.node)
    until(lambda: not any(each.is_busy or each.takes_no_jobs for each in found.nodes()))


def job(slurm: Slurm, number: int) -> Job:
    return next(each for each in slurm.jobs() if each.number == number)


def running(slurm: Slurm, *, gpus: int) -> int:
    number = slurm.submit("sleep 600", gpus=gpus)
    until(lambda: job(slurm, number).is_running)
    return number


def test_a_node_tells_its_gpus_and_who_has_them(slurm: Slurm, slurm_cell: Running) -> None:
    running(slurm, gpus=1)
    node = slurm.node(slurm_cell.node)
    assert node is not None
    assert (node.gpus, node.gpus_used, node.is_ready, node.is_busy) == (GPUS, 1, True, True)


def test_a_job_that_waits_for_gpus_says_how_many(slurm: Slurm) -> None:
    running(slurm, gpus=GPUS)
    number = slurm.submit("true", gpus=1)
    until(lambda: job(slurm, number).reason in ("Resources", "Priority"))
    waits = job(slurm, number)
    assert (waits.is_pending, waits.gpus) == (True, 1)
    assert waits.submitted is not None


def test_more_gpus_than_there_are_is_refused_at_once(slurm: Slurm) -> None:
    with pytest.raises(PermanentError, match="configuration is not available"):
        slurm.submit("true", gpus=GPUS + 1)


@pytest.mark.parametrize("action", [lambda slurm: slurm.drain("absent", "x"),
                                    lambda slurm: slurm.resume("absent")])  # fmt: skip
def test_a_node_that_is_not_there_is_told(slurm: Slurm, action: Callable[[Slurm], bool]) -> None:
    with pytest.raises(NotFound):
        action(slurm)


def test_a_drained_node_keeps_its_reason_and_takes_no_job(
    slurm: Slurm, slurm_cell: Running
) -> None:
    assert slurm.drain(slurm_cell.node, "its GPU goes to the cloud")
    assert not slurm.drain(slurm_cell.node, "twice")
    slurm.wait_drained(slurm_cell.node, timeout_seconds=SECONDS)
    node = slurm.node(slurm_cell.node)
    assert node is not None
    assert node.reason == "its GPU goes to the cloud"
    assert job(slurm, slurm.submit("true", gpus=1)).is_pending


def test_a_node_with_a_job_is_not_drained_and_says_which(slurm: Slurm, slurm_cell: Running) -> None:
    number = running(slurm, gpus=1)
    slurm.drain(slurm_cell.node, "x")
    told: list[str] = []
    with pytest.raises(DeadlineExceeded, match=rf"with the jobs {number} \(ai-how"):
        slurm.wait_drained(
            slurm_cell.node, timeout_seconds=0.5, progress=lambda _, said: told.append(said)
        )
    assert told
    slurm.cancel(number)
    slurm.wait_drained(slurm_cell.node, timeout_seconds=SECONDS)


def test_a_resumed_node_runs_what_waited(slurm: Slurm, slurm_cell: Running) -> None:
    slurm.drain(slurm_cell.node, "x")
    number = slurm.submit("true", gpus=1)
    assert slurm.resume(slurm_cell.node)
    assert not slurm.resume(slurm_cell.node)
    slurm.wait_ready(slurm_cell.node, timeout_seconds=SECONDS)
    until(lambda: job(slurm, number).state == "COMPLETED")


def test_a_node_that_was_put_down_is_away_until_its_slurmd_answers(
    slurm: Slurm, slurm_cell: Running
) -> None:
    """Else a machine that went off a moment ago would be taken for ready."""
    slurm.drain(slurm_cell.node, "x")
    slurm.put_down(slurm_cell.node, "y")
    down = slurm.node(slurm_cell.node)
    assert down is not None
    assert (down.is_away, down.takes_no_jobs, down.reason) == (True, True, "y")
    slurm.resume(slurm_cell.node)
    number = slurm.submit("true", gpus=1)
    slurm.wait_ready(slurm_cell.node, timeout_seconds=SECONDS)
    until(lambda: job(slurm, number).state == "COMPLETED")


def test_work_of_a_node_that_was_put_down_is_queued_again(
    slurm: Slurm, slurm_cell: Running
) -> None:
    number = running(slurm, gpus=1)
    slurm.drain(slurm_cell.node, "x")
    slurm.put_down(slurm_cell.node, "x")
    until(lambda: job(slurm, number).is_pending)


def test_a_job_may_be_cancelled_twice(slurm: Slurm) -> None:
    number = slurm.submit("sleep 600")
    slurm.cancel(number)
    slurm.cancel(number)
    until(lambda: job(slurm, number).state == "CANCELLED")


def test_a_controller_that_does_not_answer_may_be_asked_again(
    slurm_cell: Running, tmp_path: Path
) -> None:
    lines = slurm_cell.configuration.read_text("utf-8").splitlines()
    away = tmp_path / "slurm.conf"
    changed = ["SlurmctldPort=1" if "SlurmctldPort" in each else each for each in lines]
    away.write_text("\n".join([*changed, "MessageTimeout=2"]), "utf-8")
    with pytest.raises(TransientError):
        Slurm(away).nodes()
