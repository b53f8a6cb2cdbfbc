"""How long `ai-how --help` and `ai-how status` take, as whole processes, beside `dagster --help`.

    python -m benchmarks.command_latency [--runs N]

Bounds: 0.15 s and 1 s, the latter with clusters in the file and no libvirt that answers, too.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.embedded import embedded_platform

PROGRAMS = Path(sys.executable).parent
CLUSTERS = Path(__file__).parents[1] / "examples" / "clusters" / "shared-gpu.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    ours = show("ai-how --help", timed([str(PROGRAMS / "ai-how"), "--help"], runs))
    peer = show("dagster --help", timed([str(PROGRAMS / "dagster"), "--help"], runs))
    print(f"ratio of the medians, dagster / ai-how: {peer / ours:.1f}")
    show("ai-how status, with clusters and without libvirt", without_libvirt(runs))
    with embedded_platform():
        show("ai-how status", timed([str(PROGRAMS / "ai-how"), "status"], runs))
        show("ai-how checkpoints", timed([str(PROGRAMS / "ai-how"), "checkpoints"], runs))


def without_libvirt(runs: int) -> list[float]:
    """Of a platform that is down, below a file whose machines nobody can be asked about."""
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "cluster.yaml"
        # Nothing listens at port 1 of the loopback.
        uri = "qemu+tcp://127.0.0.1:1/system"
        file.write_text(f"{CLUSTERS.read_text()}platform:\n  machines: {{uri: '{uri}'}}\n")
        environment = {**os.environ, "AI_HOW_CLUSTER": str(file), "AI_HOW_HOME": home}
        return timed([str(PROGRAMS / "ai-how"), "status"], runs, environment)


def timed(
    command: Sequence[str], runs: int, environment: Mapping[str, str] = os.environ
) -> list[float]:
    """Wall seconds of each run, after one that is not counted."""
    seconds = []
    for _ in range(runs + 1):
        started = time.monotonic()
        subprocess.run(command, check=True, capture_output=True, env=environment)
        seconds.append(time.monotonic() - started)
    return seconds[1:]


def show(what: str, seconds: Sequence[float]) -> float:
    median = statistics.median(seconds)
    print(f"{what}: min {min(seconds):.3f} s, median {median:.3f} s, max {max(seconds):.3f} s")
    return median


if __name__ == "__main__":
    main()
