"""The load client as a process: what it records of hostile servers, and how it ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from resources.errors import PermanentError, TransientError
from resources.load.rows import RequestRow, read_lines
from resources.load.run import (
    BAD_PLAN,
    LoadPlan,
    LoadResult,
    PlannedRequest,
    child_environment,
    run_load,
)
from tests.doubles.openai_server import AnswerServer

pytestmark = pytest.mark.real
StartServer = Callable[..., str]


def make_plan(url: str, *prompts: Any, every: float = 0.05, **changes: Any) -> LoadPlan:
    """One request for each prompt, `every` so many seconds."""
    return LoadPlan(
        url=url,
        model="m",
        prompts=tuple({"prompt": prompt} for prompt in prompts),
        requests=tuple(PlannedRequest(n * every, "steady", n) for n in range(len(prompts))),
        **{"max_tokens": 5, "timeout_seconds": 1.5, **changes},
    )


HOSTILE = {
    "refuse": ("http", 500),
    "cut": ("truncated", 200),
    "unfinished": ("truncated", 200),
    "silent": ("timeout", 200),
    "broken": ("server", 200),
    "garbage": ("protocol", None),
    "hang up": ("connection", None),
    "flood": ("timeout", 200),
}
ODD = ("hello", "uncounted", "wordless", "unterminated")


@pytest.fixture(scope="module", params=["--keep-alive", "--no-keep-alive"])
def rows(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    start_shared: StartServer,
) -> dict[str, RequestRow]:
    """What became of one request for each behaviour of the server, twice over, the second time."""
    prompts = [*HOSTILE, *ODD]
    url = start_shared("--tokens", "5", request.param)
    plan = make_plan(url, *prompts, *prompts)
    result = run_load(plan, work_directory=tmp_path_factory.mktemp("hostile"))
    return dict(zip(prompts, result.rows[len(prompts) :], strict=True))


@pytest.mark.parametrize("prompt", HOSTILE)
def test_a_failed_request_is_a_row_with_its_class(rows: dict[str, RequestRow], prompt: str) -> None:
    assert (rows[prompt].error, rows[prompt].status) == HOSTILE[prompt]


@pytest.mark.parametrize("prompt", HOSTILE)
def test_a_failed_request_has_a_reason(rows: dict[str, RequestRow], prompt: str) -> None:
    assert rows[prompt].reason


@pytest.mark.parametrize("prompt", ODD)
def test_a_whole_answer_is_a_success_however_it_is_written(
    rows: dict[str, RequestRow], prompt: str
) -> None:
    assert (rows[prompt].error, rows[prompt].reason) == (None, "")


def test_a_refusal_keeps_the_words_of_the_server(rows: dict[str, RequestRow]) -> None:
    assert "out of slots" in rows["refuse"].reason


def test_tokens_are_those_of_the_usage(rows: dict[str, RequestRow]) -> None:
    assert (rows["hello"].output_tokens, rows["hello"].prompt_tokens) == (5, 7)


def test_without_usage_tokens_are_the_chunks(rows: dict[str, RequestRow]) -> None:
    assert (rows["uncounted"].output_tokens, rows["uncounted"].prompt_tokens) == (5, None)


def test_the_first_token_of_an_empty_answer_is_its_end(rows: dict[str, RequestRow]) -> None:
    assert rows["wordless"].first_token is not None


def test_times_of_a_row_ascend(rows: dict[str, RequestRow]) -> None:
    row = rows["hello"]
    assert row.headers is not None
    assert row.first_token is not None
    moments = [row.intended, row.sent, row.headers, row.first_token, *row.chunks, row.end]
    assert moments == sorted(moments)


def test_nobody_listening_is_a_refused_connection(tmp_path: Path) -> None:
    result = run_load(make_plan("http://127.0.0.1:9", "x"), work_directory=tmp_path)
    assert [row.error for row in result.rows] == ["refused"]


def test_an_unknown_host_is_a_failed_connection(tmp_path: Path) -> None:
    result = run_load(make_plan("http://no-such-host.invalid", "x"), work_directory=tmp_path)
    assert [row.error for row in result.rows] == ["connection"]


def test_requests_beyond_the_limit_wait_and_count_as_late(
    tmp_path: Path, start_server: StartServer
) -> None:
    url = start_server("--ttft", "0.5", "--tokens", "1")
    plan = make_plan(url, "a", "b", every=0.01, concurrency=1)
    result = run_load(plan, work_directory=tmp_path)
    assert result.rows[1].send_lag >= 0.45


def test_an_open_request_keeps_no_other_from_its_time(
    tmp_path: Path, start_server: StartServer
) -> None:
    plan = make_plan(start_server(), *["silent"] * 10, "hello", every=0.01)
    late = run_load(plan, work_directory=tmp_path).rows[10]
    assert (late.error, late.send_lag < 1.0) == (None, True)


def test_connections_are_kept_where_the_server_keeps_them(
    tmp_path: Path, start_server: StartServer
) -> None:
    url = start_server("--ttft", "0.01", "--tokens", "1", "--single")
    result = run_load(make_plan(url, "a", "b", "c", every=0.3), work_directory=tmp_path)
    assert [row.error for row in result.rows] == [None, None, None]


def test_extra_fields_reach_the_server(tmp_path: Path, start_server: StartServer) -> None:
    plan = make_plan(start_server(), "hello", extra={"prompt": "refuse"})
    assert run_load(plan, work_directory=tmp_path).rows[0].status == 500


def test_the_client_finds_its_program_where_the_package_is_not_installed() -> None:
    program = Path(child_environment()["PYTHONPATH"], "resources", "load", "locust_client.py")
    assert program.is_file()


@pytest.mark.parametrize("fresh", [True, False])
def test_no_two_fresh_requests_share_a_prefix_cache(tmp_path: Path, fresh: bool) -> None:
    with AnswerServer() as server:
        url = f"http://127.0.0.1:{server.port}"
        for _ in range(2):
            run_load(make_plan(url, "a", "a", fresh=fresh), work_directory=tmp_path)
    salts = {body.get("cache_salt") for body in server.asked}
    assert (len(server.asked), len(salts)) == (4, 4 if fresh else 1)
    assert (None in salts) is not fresh


def test_the_summary_says_which_locust_and_how_late(
    tmp_path: Path, start_server: StartServer
) -> None:
    client = run_load(make_plan(start_server(), "a"), work_directory=tmp_path).client
    assert client.locust_version.startswith("2.")
    assert client.locust_requests == 1
    assert 0 <= client.lag_p50 <= client.lag_p99


def test_progress_reaches_the_caller(tmp_path: Path, start_server: StartServer) -> None:
    seen: list[tuple[int, int]] = []
    plan = make_plan(start_server(), *["hello"] * 8, every=0.3)
    run_load(plan, work_directory=tmp_path, progress=lambda *counts: seen.append(counts))
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {8}
    assert seen[-1] == (8, 8)


def test_a_second_run_in_the_same_directory_starts_anew(
    tmp_path: Path, start_server: StartServer
) -> None:
    url = start_server()
    run_load(make_plan(url, "a", "b"), work_directory=tmp_path)
    assert len(run_load(make_plan(url, "a"), work_directory=tmp_path).rows) == 1


# Ends.


def _clients(work: Path) -> list[psutil.Process]:
    """The load clients that work in `work`."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(work / "plan.json") in (process.info["cmdline"] or [])
    ]


def _when_rows_come(work: Path, act: Callable[[], Any]) -> threading.Thread:
    """Do `act` once the client has written a row."""

    def watch() -> None:
        rows = work / "rows.jsonl"
        while not (rows.exists() and rows.stat().st_size):
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_run_that_takes_too_long_is_ended(tmp_path: Path, start_server: StartServer) -> None:
    plan = make_plan(start_server(), *["hello"] * 100, every=1.0)
    with pytest.raises(TransientError, match="could not finish within 2 s"):
        run_load(plan, work_directory=tmp_path, timeout_seconds=2)
    assert _clients(tmp_path) == []


def test_a_killed_client_leaves_the_rows_it_had(tmp_path: Path, start_server: StartServer) -> None:
    plan = make_plan(start_server(), *["refuse"] * 100, every=0.2)
    killer = _when_rows_come(tmp_path, lambda: _clients(tmp_path)[0].kill())
    with pytest.raises(TransientError, match="SIGKILL ended it"):
        run_load(plan, work_directory=tmp_path)
    killer.join()
    assert next(read_lines(tmp_path / "rows.jsonl"))["error"] == "http"


def test_an_interrupted_caller_takes_the_client_along(
    tmp_path: Path, start_server: StartServer
) -> None:
    plan = make_plan(start_server(), *["hello"] * 100, every=1.0)

    def interrupt(done: int, scheduled: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_load(plan, work_directory=tmp_path, progress=interrupt)
    assert _clients(tmp_path) == []


def test_the_client_does_not_outlive_a_killed_caller(
    tmp_path: Path, start_server: StartServer
) -> None:
    plan = make_plan(start_server(), *["hello"] * 100, every=1.0)
    plan.write(tmp_path / "given.json")
    code = (
        "import pathlib, sys\n"
        "from resources.load.run import BAD_PLAN, LoadPlan, run_load\n"
        "work = pathlib.Path(sys.argv[1])\n"
        "run_load(LoadPlan.read(work / 'given.json'), work_directory=work)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) as caller:
        _when_rows_come(tmp_path, lambda: os.kill(caller.pid, signal.SIGKILL)).join()
    psutil.wait_procs(_clients(tmp_path), timeout=30)
    assert _clients(tmp_path) == []


def test_the_client_sees_no_credentials(
    tmp_path: Path, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "kept back")
    found: list[dict[str, str]] = []
    plan = make_plan(start_server(), *["hello"] * 5, every=0.3)
    watcher = _when_rows_come(tmp_path, lambda: found.append(_clients(tmp_path)[0].environ()))
    run_load(plan, work_directory=tmp_path)
    watcher.join()
    assert "AWS_SECRET_ACCESS_KEY" not in found[0]


def test_a_plan_that_is_none_is_permanent(tmp_path: Path) -> None:
    plan = LoadPlan("http://127.0.0.1:9", "m", (), (PlannedRequest(0, "steady", 3),), 5)
    with pytest.raises(PermanentError, match="could not run: IndexError"):
        run_load(plan, work_directory=tmp_path)


def test_an_unreadable_plan_is_named(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text("{", "utf-8")
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "resources.load.locust_client",
            str(plan),
            str(tmp_path / "rows.jsonl"),
        ],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stderr is not None
        words = client.stderr.read()
    assert (client.returncode, words.startswith("not a plan")) == (BAD_PLAN, True)


def test_an_empty_plan_is_a_run_without_rows(tmp_path: Path) -> None:
    result: LoadResult = run_load(
        LoadPlan("http://127.0.0.1:9", "m", (), (), 5), work_directory=tmp_path
    )
    assert (result.rows, result.scheduled) == ((), 0)
