"""Runs as forks under a real daemon: found, ended, and made good when anything is killed."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest
from dagster import DagsterInstance, DagsterRun
from dagster._core.launcher.base import WorkerStatus

from resources.dagster.graphql import DagsterGraphQL, Run
from resources.dagster.launcher import WORKER_TAG, ForkRunLauncher, identify
from tests.doubles.dagster_services import DagsterServices
from tests.resources.dagster.conftest import Eventually, Waiting

pytestmark = pytest.mark.real
Start = Callable[[], Waiting]
Finished = Callable[[str], Run]
End = Callable[[Waiting, DagsterGraphQL], None]
Lose = Callable[[DagsterServices, Finished], None]

TERMINATE = """
mutation ($run: String!) {
  terminateRun(runId: $run) { __typename }
}
"""


@pytest.fixture
def instance(services: DagsterServices) -> Iterator[DagsterInstance]:
    with services.instance() as opened:
        yield opened


@pytest.fixture
def daemon(services: DagsterServices) -> Iterator[psutil.Process]:
    """The daemon's process; a test that ends it finds the next one running afterwards."""
    assert services.daemon is not None
    yield psutil.Process(services.daemon.pid)
    if services.daemon.poll() is not None:
        services.start_daemon()


def go_on(run: Waiting, graph: DagsterGraphQL) -> None:
    run.go_on()


def cancel(run: Waiting, graph: DagsterGraphQL) -> None:
    graph._ask(TERMINATE, {"run": run.run_id})


def daemon_killed(services: DagsterServices, finished: Finished) -> None:
    assert services.daemon is not None
    services.daemon.kill()
    services.daemon.wait()


def daemon_told_to_end(services: DagsterServices, finished: Finished) -> None:
    assert services.daemon is not None
    services.daemon.terminate()
    # It does not wait for its runs.
    services.daemon.wait()


def daemon_replaced(services: DagsterServices, finished: Finished) -> None:
    daemon_killed(services, finished)
    services.start_daemon()
    # It has done a round of everything by the time a run has gone through.
    finished(services.graph.submit("both", assets=["quick"]))


def fork_server_killed(services: DagsterServices, finished: Finished) -> None:
    assert services.daemon is not None
    _fork_server(psutil.Process(services.daemon.pid)).kill()
    finished(services.graph.submit("both", assets=["quick"]))


def _fork_server(daemon: psutil.Process) -> psutil.Process:
    return next(
        child for child in daemon.children() if "multiprocessing.forkserver" in str(child.cmdline())
    )


def _run(graph: DagsterGraphQL, run_id: str) -> Run:
    found = graph.run(run_id)
    assert found is not None
    return found


def _retry_of(graph: DagsterGraphQL, run_id: str) -> list[Run]:
    return list(graph.runs(tags={"dagster/parent_run_id": run_id}))


def test_a_run_names_the_process_that_executes_it(waiting: Start, graph: DagsterGraphQL) -> None:
    run = waiting()
    pid = run.begun()
    assert _run(graph, run.run_id).tags[WORKER_TAG] == identify(psutil.Process(pid))


def test_a_run_is_a_fork_of_the_fork_server(waiting: Start, daemon: psutil.Process) -> None:
    pid = waiting().begun()
    assert psutil.Process(pid).ppid() == _fork_server(daemon).pid


@pytest.mark.parametrize(("end", "status"), [(go_on, "SUCCESS"), (cancel, "CANCELED")])
def test_a_run_ends_as_it_was_told(
    waiting: Start, finished: Finished, graph: DagsterGraphQL, end: End, status: str
) -> None:
    run = waiting()
    run.begun()
    end(run, graph)
    assert finished(run.run_id).status == status


@pytest.mark.parametrize("end", [go_on, cancel])
def test_the_process_of_a_run_is_gone_with_it(
    waiting: Start, graph: DagsterGraphQL, eventually: Eventually, end: End
) -> None:
    run = waiting()
    pid = run.begun()
    end(run, graph)
    eventually(lambda: not psutil.pid_exists(pid))


def test_a_killed_worker_fails_its_run(waiting: Start, finished: Finished) -> None:
    run = waiting()
    psutil.Process(run.begun()).kill()
    assert finished(run.run_id).status == "FAILURE"


def test_the_reason_of_a_killed_run_names_its_process(
    waiting: Start, finished: Finished, graph: DagsterGraphQL
) -> None:
    run = waiting()
    pid = run.begun()
    psutil.Process(pid).kill()
    finished(run.run_id)
    assert graph.failure(run.run_id) == f"the run's process {pid} ended before its work was done"


def test_a_killed_run_is_retried_in_the_freed_slot_of_its_pool(
    waiting: Start, finished: Finished, graph: DagsterGraphQL, eventually: Eventually
) -> None:
    run = waiting()
    psutil.Process(run.begun()).kill()
    run.begun(times=2)
    run.go_on()
    eventually(lambda: _retry_of(graph, run.run_id))
    retry = _retry_of(graph, run.run_id)[0]
    assert finished(retry.run_id).status == "SUCCESS"


def test_a_killed_run_is_retried_once(
    waiting: Start, finished: Finished, graph: DagsterGraphQL
) -> None:
    run = waiting()
    psutil.Process(run.begun()).kill()
    run.begun(times=2)
    run.go_on()
    following = waiting()
    following.go_on()
    finished(following.run_id)
    assert len(_retry_of(graph, run.run_id)) == 1


def test_a_worker_that_dies_before_its_run_begins_fails_it_at_once(
    services: DagsterServices, waiting: Start, finished: Finished, eventually: Eventually
) -> None:
    services.hold.touch()
    try:
        run = waiting()
        eventually(lambda: WORKER_TAG in _run(services.graph, run.run_id).tags)
        found = _run(services.graph, run.run_id)
        psutil.Process(int(found.tags[WORKER_TAG].partition(":")[0])).kill()
        # The start timeout, after which run monitoring looks at it, is a minute.
        failed = finished(run.run_id)
    finally:
        services.hold.unlink()
    assert failed.ended is not None
    assert failed.ended - failed.created < 50


@pytest.mark.parametrize(
    "lose", [daemon_killed, daemon_told_to_end, daemon_replaced, fork_server_killed]
)
def test_a_run_goes_on_without_what_started_it(
    services: DagsterServices,
    waiting: Start,
    finished: Finished,
    daemon: psutil.Process,
    lose: Lose,
) -> None:
    run = waiting()
    run.begun()
    lose(services, finished)
    run.go_on()
    assert finished(run.run_id).status == "SUCCESS"


def test_the_next_daemon_fails_a_run_that_died_meanwhile(
    services: DagsterServices, waiting: Start, finished: Finished, daemon: psutil.Process
) -> None:
    run = waiting()
    pid = run.begun()
    daemon_killed(services, finished)
    psutil.Process(pid).kill()
    services.start_daemon()
    assert finished(run.run_id).status == "FAILURE"


def test_runs_start_after_the_fork_server_was_killed(
    services: DagsterServices, finished: Finished, daemon: psutil.Process
) -> None:
    _fork_server(daemon).kill()
    assert finished(services.graph.submit("both", assets=["quick"])).status == "SUCCESS"


def _health(worker: str) -> WorkerStatus:
    run = DagsterRun(job_name="any", tags={WORKER_TAG: worker})
    return ForkRunLauncher().check_run_worker_health(run).status


def test_a_live_worker_is_healthy() -> None:
    assert _health(identify(psutil.Process())) is WorkerStatus.RUNNING


@pytest.mark.parametrize("worker", ["", "1", "0:0.00", "2147483646:1.00"])
def test_a_worker_that_nobody_can_name_is_gone(worker: str) -> None:
    assert _health(worker) is WorkerStatus.FAILED


def test_a_process_that_got_the_number_of_a_worker_is_not_taken_for_it() -> None:
    pid, _, started = identify(psutil.Process()).partition(":")
    assert _health(f"{pid}:{float(started) - 1:.2f}") is WorkerStatus.FAILED


def test_a_zombie_is_no_live_worker() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        worker = identify(psutil.Process(child.pid))
        child.kill()
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            pass
        assert _health(worker) is WorkerStatus.FAILED


def test_the_name_of_a_worker_does_not_change_with_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not psutil.LINUX:
        pytest.skip("only Linux tells start times relative to the boot")
    before = identify(psutil.Process())
    shifted = psutil.boot_time() + 3600
    monkeypatch.setattr("psutil.boot_time", lambda: shifted)
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: shifted)
    assert identify(psutil.Process()) == before
