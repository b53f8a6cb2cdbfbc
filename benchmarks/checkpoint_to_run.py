"""From a checkpoint complete on disk to its run started, beside Dagster as it comes.

    python -m benchmarks.checkpoint_to_run [--drops N] [--peer-drops N]

The peer is a plain sensor (default interval), default coordinator, launcher and executor over the
same stages without work. Drops come at random moments. Bound: median <= 2 s, p95 <= 5 s.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.embedded import MODEL, embedded_platform, write_refused_checkpoint
from resources.dagster.graphql import DagsterGraphQL
from resources.ports import free_ports

PEER = Path(__file__).parent / "default_dagster.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drops", type=int, default=20)
    parser.add_argument("--peer-drops", type=int, default=4)
    options = parser.parse_args()
    ours = measure_ours(options.drops)
    show("this platform: complete on disk -> run started", ours)
    if options.peer_drops:
        started, done = measure_peer(options.peer_drops)
        show("Dagster's defaults: file there -> run started", started)
        show("Dagster's defaults: file there -> last of seven no-op steps", done)
        ratio = statistics.median(started) / statistics.median(ours)
        print(f"ratio of the medians, defaults / ours: {ratio:.1f}")


def measure_ours(drops: int) -> list[float]:
    chance = random.Random(1)
    with embedded_platform() as settings:
        graph = DagsterGraphQL(settings.dagster_url)
        time.sleep(10)
        complete: dict[str, float] = {}
        for step in range(1, drops + 1):
            key = f"{MODEL}.drop.{step}"
            complete[key] = write_refused_checkpoint(settings.roots[0].path, "drop", step)
            time.sleep(chance.uniform(3, 9))
        time.sleep(10)
        runs = {run.tags.get("dagster/partition"): run for run in graph.runs(limit=drops * 4)}
        return [(runs[key].started or 0) - at for key, at in complete.items()]


def measure_peer(drops: int) -> tuple[list[float], list[float]]:
    chance = random.Random(2)
    with default_dagster() as (directory, graph):
        dropped = {}
        for number in range(drops):
            name = f"drop-{number}"
            (directory / "drops" / name).touch()
            dropped[name] = (directory / "drops" / name).stat().st_mtime
            time.sleep(chance.uniform(30, 45))
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            runs = {run.tags.get("dagster/partition"): run for run in graph.runs(limit=100)}
            if all(name in runs and runs[name].finished for name in dropped):
                break
            time.sleep(1)
        return (
            [(runs[name].started or 0) - at for name, at in dropped.items()],
            [run.ended - at for name, at in dropped.items() if (run := runs[name]).ended],
        )


@contextmanager
def default_dagster() -> Iterator[tuple[Path, DagsterGraphQL]]:
    """`dagster dev` on the peer's graph with an empty dagster.yaml."""
    with tempfile.TemporaryDirectory(prefix="ai-how-peer-") as name:
        directory = Path(name)
        (directory / "drops").mkdir()
        (directory / "home").mkdir()
        (directory / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        port = free_ports(1)[0]
        environment = {**os.environ, "DAGSTER_HOME": str(directory / "home"), "DROPS": name}
        command = [sys.executable, "-m", "dagster", "dev", "-f", str(PEER), "-p", str(port)]
        with (directory / "log").open("wb") as log:
            peer = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            time.sleep(25)
            yield directory, DagsterGraphQL(f"http://127.0.0.1:{port}")
        finally:
            # It waits for its children without end when one of them does not stop.
            with suppress(ProcessLookupError):
                os.killpg(peer.pid, signal.SIGKILL)
            peer.wait()


def show(what: str, seconds: Sequence[float]) -> None:
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    print(
        f"{what}: n {len(ordered)}, min {ordered[0]:.2f} s, median "
        f"{statistics.median(ordered):.2f} s, p95 {p95:.2f} s, max {ordered[-1]:.2f} s"
    )


if __name__ == "__main__":
    main()
