"""How well the load harness measures a server of known timing, beside Locust's own statistic.

`.venv/bin/python benchmarks/harness_accuracy.py`: about a minute. The truth is what the server was
told to do; of the stall, what each scheduled request must have waited. "same run" is Locust's
statistic over the very requests of the harness, "closed loop" a plain locustfile with ten users.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cloud_assets.benchmarks.measurement import Subject, measure
from cloud_assets.benchmarks.schedule import make_plan
from cloud_assets.benchmarks.statistics import percentile
from cloud_assets.documents import BenchmarkReport
from cloud_assets.settings import Profile
from resources.load.run import LoadResult, run_load

ROOT = Path(__file__).parent.parent
TTFT, GAP, TOKENS = 0.08, 0.01, 20
LATENCY = TTFT + (TOKENS - 1) * GAP
STALL, EVERY = 2.0, 10.0
SECONDS = 20.0
CALM = Profile(rate=30, warmup_seconds=1, steady_seconds=10, output_tokens=TOKENS, targets=())
STALLED = Profile(
    rate=50,
    warmup_seconds=0,
    steady_seconds=SECONDS,
    cooldown_seconds=0,
    output_tokens=TOKENS,
    targets=(),
)


def main() -> None:
    with timed_server() as url:
        calm, calm_run = measured(CALM, url)
    with timed_server() as url:
        closed_headers = plain_locust(url, seconds=10, stream=True)
    with timed_server() as url:
        closed = plain_locust(url, seconds=10)
    stall = ("--stall", str(STALL), "--every", str(EVERY))
    with timed_server(*stall) as url:
        stalled, stalled_run = measured(STALLED, url)
    with timed_server(*stall) as url:
        closed_stalled = plain_locust(url, seconds=int(SECONDS))
    calm_locust, stalled_locust = calm_run.client, stalled_run.client
    print(f"{'milliseconds':<22}{'truth':>8}{'ai-how':>9}{'error':>8}", end="")
    print(f"{'Locust, same run':>18}{'Locust, closed loop':>21}")
    for name, truth, ours, same, peer in (
        ("TTFT P50", TTFT, calm.ttft.p50, calm_locust.locust_p50, closed_headers[0.5]),
        ("TTFT P95", TTFT, calm.ttft.p95, calm_locust.locust_p95, closed_headers[0.95]),
        ("inter-token P50", GAP, calm.inter_token.p50, None, None),
        ("latency P50", LATENCY, calm.latency.p50, calm_locust.locust_p50, closed[0.5]),
        ("latency P95", LATENCY, calm.latency.p95, calm_locust.locust_p95, closed[0.95]),
        (
            "latency P95, stalls",
            percentile(sorted(true_latencies(stalled_run)), 0.95),
            stalled.latency.p95,
            stalled_locust.locust_p95,
            closed_stalled[0.95],
        ),
    ):
        print_row(name, truth, ours, same, peer)
    for name, report in (("calm", calm), ("stalls", stalled)):
        print(
            f"{name}: {report.requests} requests, {report.failures} failed, "
            f"send lag P99 {report.send_lag_p99 * 1000:.1f} ms, "
            f"client CPU {report.client_cpu:.1%}, invalid: {', '.join(report.invalid) or 'no'}"
        )


def print_row(
    name: str, truth: float, ours: float | None, same: float | None, peer: float | None
) -> None:
    def text(seconds: float | None) -> str:
        return "-" if seconds is None else f"{seconds * 1000:.1f}"

    error = "-" if ours is None else f"{ours / truth - 1:+.1%}"
    print(f"{name:<22}{text(truth):>8}{text(ours):>9}{error:>8}{text(same):>18}{text(peer):>21}")


@contextmanager
def timed_server(*options: str) -> Iterator[str]:
    """The URL of a server of known timing."""
    timing = ["--ttft", str(TTFT), "--gap", str(GAP), "--tokens", str(TOKENS)]
    with subprocess.Popen(
        [sys.executable, str(ROOT / "tests/doubles/timed_model_server.py"), *timing, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def measured(profile: Profile, url: str) -> tuple[BenchmarkReport, LoadResult]:
    with tempfile.TemporaryDirectory() as work:
        plan = make_plan(profile, prompts=[{"prompt": "hello"}], url=url, model="m")
        result = run_load(plan, work_directory=Path(work))
    subject = Subject("mock.run.1", "-", "-", datetime.now(UTC))
    return measure(result, profile, subject), result


def true_latencies(result: LoadResult) -> list[float]:
    """What each request waits when the server stops for STALL s, EVERY - STALL s after the first.

    One that comes into a stall is taken up at its end; one that should end in a stall ends with it.
    """
    first = result.rows[0].intended
    found = []
    for row in result.rows:
        taken = after_stall(row.intended, first)
        found.append(after_stall(taken + LATENCY, first) - row.intended)
    return found


def after_stall(moment: float, first: float) -> float:
    into = (moment - first) % EVERY
    return moment if into < EVERY - STALL else moment + EVERY - into


def plain_locust(url: str, *, seconds: int, stream: bool = False) -> dict[float, float]:
    """Locust's own P50 and P95, in seconds, of ten users in a closed loop."""
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(
            [
                *(
                    sys.executable,
                    "-m",
                    "locust",
                    "-f",
                    str(ROOT / "benchmarks/plain_locustfile.py"),
                ),
                *("--headless", "--host", url, "-u", "10", "-r", "10", "-t", f"{seconds}s"),
                *("--json-file", f"{work}/found", "--only-summary"),
            ],
            env={**os.environ, "STREAM": "1" if stream else ""},
            check=True,
            capture_output=True,
        )
        (found,) = json.loads(Path(work, "found.json").read_text("utf-8"))
    buckets = sorted((float(time), int(count)) for time, count in found["response_times"].items())
    times = [time / 1000 for time, count in buckets for _ in range(count)]
    return {share: percentile(times, share) for share in (0.5, 0.95)}


if __name__ == "__main__":
    main()
