"""The harness against servers of known timing: what it reports must be what happened.

Lower bounds are exact, since no answer can be faster than the server; upper bounds leave room for
a busy machine and are far from what a wrong clock or a wrong reader would give.
"""

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cloud_assets.benchmarks.measurement import Subject, measure
from cloud_assets.benchmarks.schedule import make_plan
from cloud_assets.documents import BenchmarkReport, Verdict
from cloud_assets.settings import Profile, Target
from resources.load.run import run_load

pytestmark = pytest.mark.real

TTFT, GAP, TOKENS = 0.08, 0.01, 20
LATENCY = TTFT + (TOKENS - 1) * GAP
STALL, EVERY = 2.0, 6.0
SUBJECT = Subject("qa.run.1", "digest", "requests.parquet", datetime(2026, 1, 1, tzinfo=UTC))
STEADY = Profile(
    rate=25, warmup_seconds=0.5, steady_seconds=4, cooldown_seconds=0.2, output_tokens=TOKENS
)
StartServer = Callable[..., str]


def run(profile: Profile, url: str, work: Path, prompt: Any = "hello") -> BenchmarkReport:
    part = "prompt" if isinstance(prompt, str) else "messages"
    plan = make_plan(profile, prompts=[{part: prompt}], url=url, model="m")
    return measure(run_load(plan, work_directory=work), profile, SUBJECT)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, start_shared: StartServer) -> BenchmarkReport:
    return run(STEADY, start_shared(), tmp_path_factory.mktemp("calm"))


def test_the_first_token_is_timed_right(calm: BenchmarkReport) -> None:
    assert calm.ttft.p50 is not None
    assert TTFT <= calm.ttft.p50 <= 1.6 * TTFT


def test_the_gaps_between_tokens_are_timed_right(calm: BenchmarkReport) -> None:
    assert calm.inter_token.p50 == pytest.approx(GAP, rel=0.2)


def test_the_whole_answer_is_timed_right(calm: BenchmarkReport) -> None:
    assert calm.latency.p50 is not None
    assert LATENCY <= calm.latency.p50 <= 1.3 * LATENCY


def test_the_throughput_is_what_was_offered(calm: BenchmarkReport) -> None:
    assert calm.throughput == pytest.approx(STEADY.rate, rel=0.15)


def test_the_tokens_a_second_are_what_was_offered(calm: BenchmarkReport) -> None:
    assert calm.output_tokens_per_second == pytest.approx(STEADY.rate * TOKENS, rel=0.15)


def test_a_calm_server_fails_no_request(calm: BenchmarkReport) -> None:
    assert (calm.requests, calm.failures) == (100, 0)


def test_a_calm_run_is_valid_and_passes(calm: BenchmarkReport) -> None:
    assert (calm.invalid, calm.verdict) == ((), Verdict.PASS)


def test_the_client_has_cpu_to_spare(calm: BenchmarkReport) -> None:
    assert 0 < calm.client_cpu < 0.5


@pytest.fixture(scope="module")
def stalled(tmp_path_factory: pytest.TempPathFactory, start_shared: StartServer) -> BenchmarkReport:
    url = start_shared("--stall", str(STALL), "--every", str(EVERY))
    profile = Profile(
        rate=40, warmup_seconds=0, steady_seconds=EVERY, cooldown_seconds=0, output_tokens=TOKENS
    )
    return run(profile, url, tmp_path_factory.mktemp("stalled"))


def test_the_p95_shows_a_stall(stalled: BenchmarkReport) -> None:
    """A third of the arrivals meet the stall and wait for a time that is uniform up to its length.

    So 5 % wait longer than 0.85 of it. A closed loop would have sent nothing meanwhile and report
    the calm latency.
    """
    assert stalled.latency.p95 is not None
    assert 0.75 * STALL <= stalled.latency.p95 <= STALL + 2 * LATENCY


def test_the_median_does_not_show_the_stall(stalled: BenchmarkReport) -> None:
    assert stalled.latency.p50 is not None
    assert LATENCY <= stalled.latency.p50 <= 2 * LATENCY


def test_the_longest_latency_is_the_whole_stall(stalled: BenchmarkReport) -> None:
    assert stalled.latency.maximum is not None
    assert 0.9 * STALL <= stalled.latency.maximum <= STALL + 3 * LATENCY


def test_a_stall_fails_a_latency_target(stalled: BenchmarkReport) -> None:
    assert stalled.targets[0].verdict is Verdict.FAIL


def test_the_client_sends_on_time_through_the_stall(stalled: BenchmarkReport) -> None:
    assert stalled.invalid == ()


def test_a_server_that_closes_connections_is_timed_right(
    tmp_path: Path, start_server: StartServer
) -> None:
    found = run(STEADY, start_server("--no-keep-alive"), tmp_path)
    assert found.failures == 0
    assert found.ttft.p50 is not None
    assert TTFT <= found.ttft.p50 <= 1.6 * TTFT


def test_chats_are_timed_from_their_first_content(
    tmp_path: Path, start_server: StartServer
) -> None:
    """The greeting with the role comes at once and is no token."""
    found = run(STEADY, start_server(), tmp_path, prompt=[{"role": "user", "content": "hi"}])
    assert found.ttft.p50 is not None
    assert TTFT <= found.ttft.p50 <= 1.6 * TTFT


def test_whole_answers_are_timed_to_their_end(tmp_path: Path, start_server: StartServer) -> None:
    found = run(STEADY.model_copy(update={"stream": False}), start_server(), tmp_path)
    assert found.latency.p50 is not None
    assert LATENCY <= found.latency.p50 <= 1.3 * LATENCY


def test_nobody_listening_fails_every_request(tmp_path: Path) -> None:
    target = Target(metric="failure_share", at_most=0.5)
    profile = Profile(steady_seconds=1, targets=(target,))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found = run(profile, f"http://127.0.0.1:{taken.getsockname()[1]}", tmp_path)
    assert (found.failures, found.verdict) == (found.requests, Verdict.FAIL)


def test_a_schedule_without_requests_is_an_invalid_run(
    tmp_path: Path, start_server: StartServer
) -> None:
    found = run(Profile(rate=0.01), start_server(), tmp_path)
    assert (found.requests, found.verdict) == (0, Verdict.INVALID)
