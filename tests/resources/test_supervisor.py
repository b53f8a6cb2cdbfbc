"""A real supervisord per test: converging, surviving kills, leaving nothing behind."""

import os
import signal
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from resources.errors import PermanentError, TransientError
from resources.supervisor import MARKER, Program, ProgramState, Supervisor, processes, sweep

pytestmark = pytest.mark.real
Eventually = Callable[[Callable[[], object]], None]

SLEEP = "import sys, time; print(sys.argv[1:], flush=True); time.sleep(600)"


def _sleeper(home: Path, name: str, *arguments: str) -> Program:
    return Program(
        name, (sys.executable, "-S", "-c", SLEEP, *arguments), home, startsecs=0, stopwaitsecs=5
    )


def _states(supervisor: Supervisor) -> dict[str, str]:
    return {program.name: program.state for program in supervisor.programs()}


def _one(supervisor: Supervisor, name: str) -> ProgramState:
    return next(program for program in supervisor.programs() if program.name == name)


def _marked(home: Path) -> list[psutil.Process]:
    return processes.marked(MARKER, str(home.resolve()))


def _is_alive(pid: int) -> bool:
    # An orphan's zombie stays where the first process reaps nobody, as in many containers.
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_start_runs_the_programs(home: Path) -> None:
    supervisor = Supervisor(home)
    supervisor.start([_sleeper(home, "a"), _sleeper(home, "b")])
    assert set(_states(supervisor)) == {"a", "b"}


def test_a_running_program_tells_its_process_id(
    home: Path, supervisor: Supervisor, eventually: Eventually
) -> None:
    supervisor.add(_sleeper(home, "a"))
    eventually(lambda: _one(supervisor, "a").is_up)
    assert psutil.pid_exists(_one(supervisor, "a").pid)


def test_a_second_start_changes_nothing(home: Path, eventually: Eventually) -> None:
    supervisor = Supervisor(home)
    supervisor.start([_sleeper(home, "a")])
    eventually(lambda: _one(supervisor, "a").is_up)
    before = _one(supervisor, "a").pid
    supervisor.start([_sleeper(home, "a")])
    assert _one(supervisor, "a").pid == before


def test_start_restarts_what_changed_and_leaves_the_rest(
    home: Path, eventually: Eventually
) -> None:
    supervisor = Supervisor(home)
    supervisor.start([_sleeper(home, "a"), _sleeper(home, "b")])
    eventually(lambda: _one(supervisor, "a").is_up and _one(supervisor, "b").is_up)
    before = {each.name: each.pid for each in supervisor.programs()}
    supervisor.start([_sleeper(home, "a", "changed"), _sleeper(home, "b")])
    eventually(lambda: _one(supervisor, "a").is_up)
    after = {each.name: each.pid for each in supervisor.programs()}
    assert (after["a"] != before["a"], after["b"] == before["b"]) == (True, True)


def test_start_removes_programs_outside_what_is_kept(home: Path) -> None:
    supervisor = Supervisor(home)
    supervisor.start([_sleeper(home, "old"), _sleeper(home, "slot-x")])
    supervisor.start([_sleeper(home, "new")], keep="slot-")
    assert set(_states(supervisor)) == {"new", "slot-x"}


def test_remove_ends_the_process(
    home: Path, supervisor: Supervisor, eventually: Eventually
) -> None:
    supervisor.add(_sleeper(home, "a"))
    eventually(lambda: _one(supervisor, "a").is_up)
    pid = _one(supervisor, "a").pid
    assert supervisor.remove("a")
    assert not _is_alive(pid)


def test_removing_what_is_not_there_says_so(supervisor: Supervisor) -> None:
    assert not supervisor.remove("nothing")


def test_restart_gives_a_new_process(
    home: Path, supervisor: Supervisor, eventually: Eventually
) -> None:
    supervisor.add(_sleeper(home, "a"))
    eventually(lambda: _one(supervisor, "a").is_up)
    before = _one(supervisor, "a").pid
    supervisor.restart("a")
    eventually(lambda: _one(supervisor, "a").is_up)
    assert _one(supervisor, "a").pid != before


def test_restart_of_an_unknown_program_is_refused(supervisor: Supervisor) -> None:
    with pytest.raises(PermanentError, match="BAD_NAME"):
        supervisor.restart("nothing")


def test_arguments_reach_the_program_as_given(
    home: Path, supervisor: Supervisor, eventually: Eventually
) -> None:
    supervisor.add(_sleeper(home, "a", "100% a #b", "%(here)s"))
    eventually(lambda: supervisor.tail("a", 1))
    assert supervisor.tail("a", 1) == ("['100% a #b', '%(here)s']",)


def test_a_program_that_cannot_be_executed_tells_why(
    home: Path, supervisor: Supervisor, eventually: Eventually
) -> None:
    supervisor.add(Program("a", ("/no/such/program",), home))
    eventually(lambda: _one(supervisor, "a").spawn_error)
    assert "can't find command" in _one(supervisor, "a").spawn_error


def test_adding_again_revives_a_program_that_has_given_up(
    home: Path, supervisor: Supervisor, eventually: Eventually
) -> None:
    supervisor.add(Program("a", ("false",), home))
    eventually(lambda: _one(supervisor, "a").state == "FATAL")
    supervisor.add(Program("a", ("false",), home))
    assert _one(supervisor, "a").state != "FATAL"


def test_a_killed_program_comes_back(
    home: Path, supervisor: Supervisor, eventually: Eventually
) -> None:
    supervisor.add(_sleeper(home, "a"))
    eventually(lambda: _one(supervisor, "a").is_up)
    before = _one(supervisor, "a").pid
    os.kill(before, signal.SIGKILL)
    eventually(lambda: _one(supervisor, "a").is_up and _one(supervisor, "a").pid != before)


def test_shutdown_leaves_no_process(home: Path, supervisor: Supervisor) -> None:
    supervisor.add(_sleeper(home, "a"))
    supervisor.shutdown()
    assert _marked(home) == []


def test_shutdown_lets_a_program_end_by_itself(
    home: Path, supervisor: Supervisor, eventually: Eventually
) -> None:
    script = "trap 'sleep 0.5; echo ended; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    supervisor.add(Program("a", ("sh", "-c", script), home))
    eventually(lambda: supervisor.tail("a", 1))
    supervisor.shutdown()
    assert supervisor.tail("a", 1) == ("ended",)


def test_shutdown_ends_what_a_program_left_in_the_background(
    home: Path, supervisor: Supervisor, eventually: Eventually
) -> None:
    script = "setsid sleep 600 & echo $! ; wait"
    supervisor.add(Program("a", ("sh", "-c", script), home))
    eventually(lambda: supervisor.tail("a", 1))
    child = int(supervisor.tail("a", 1)[0])
    supervisor.shutdown()
    assert not _is_alive(child)


def test_programs_are_run_again_after_shutdown_and_start(
    home: Path, supervisor: Supervisor
) -> None:
    supervisor.add(_sleeper(home, "a"))
    supervisor.shutdown()
    supervisor.start(())
    assert set(_states(supervisor)) == {"a"}


def test_start_after_a_killed_daemon_leaves_no_orphan(
    home: Path, supervisor: Supervisor, eventually: Eventually
) -> None:
    supervisor.add(_sleeper(home, "a"))
    eventually(lambda: supervisor.tail("a", 1))
    orphan = _one(supervisor, "a").pid
    os.kill(int(supervisor.files.pid.read_text()), signal.SIGKILL)
    eventually(lambda: not supervisor.is_running())
    supervisor.start(())
    eventually(lambda: _one(supervisor, "a").is_up)
    assert (_is_alive(orphan), len(_marked(home))) == (False, 2)


def test_sweep_ends_the_orphans_of_a_killed_daemon(
    home: Path, supervisor: Supervisor, eventually: Eventually
) -> None:
    supervisor.add(_sleeper(home, "a"))
    eventually(lambda: supervisor.tail("a", 1))
    orphan = _one(supervisor, "a").pid
    daemon = int(supervisor.files.pid.read_text())
    os.kill(daemon, signal.SIGKILL)
    eventually(lambda: not supervisor.is_running())
    assert sweep(home) == [orphan]


def test_sweep_leaves_another_home_alone(
    tmp_path: Path, home: Path, supervisor: Supervisor
) -> None:
    assert sweep(tmp_path / "other") == []


def test_calls_without_a_daemon_may_be_retried(home: Path) -> None:
    with pytest.raises(TransientError, match="supervisord"):
        Supervisor(home).programs()


def test_nothing_is_written_by_adding_without_a_daemon(home: Path) -> None:
    supervisor = Supervisor(home)
    (home / "run").mkdir()
    with pytest.raises(TransientError):
        supervisor.add(_sleeper(home, "a"))
    assert supervisor.configured() == {}


def test_two_starts_at_once_make_one_daemon(home: Path) -> None:
    threads = [
        threading.Thread(target=Supervisor(home).start, args=([_sleeper(home, name)],))
        for name in ("a", "b")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(_states(Supervisor(home))) == {"a", "b"}


def test_the_configuration_is_private(home: Path, supervisor: Supervisor) -> None:
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (home / "run", home / "logs")]
    config = stat.S_IMODE((home / "run" / "supervisord.conf").stat().st_mode)
    assert (modes, config) == ([0o700, 0o700], 0o600)


def test_a_deep_home_keeps_its_socket_elsewhere(tmp_path: Path) -> None:
    home = tmp_path / ("d" * 100)
    supervisor = Supervisor(home)
    try:
        supervisor.start(())
        assert supervisor.is_running()
    finally:
        supervisor.shutdown()
    assert not supervisor.files.socket.parent.exists()


def test_a_damaged_configuration_is_named(home: Path) -> None:
    (home / "run").mkdir()
    (home / "run" / "supervisord.conf").write_text("[program:x]\ncommand = a\n")
    with pytest.raises(PermanentError, match="read its configuration"):
        Supervisor(home).start(())
