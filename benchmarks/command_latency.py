"""How long `ai-how --help` and `ai-how status` take, as whole processes, beside `dagster --help`.

    python -m benchmarks.command_latency [--runs N]

Bounds: 0.15 s and 1 s.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.embedded import embedded_platform

PROGRAMS = Path(sys.executable).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    ours = show("ai-how --help", timed([str(PROGRAMS / "ai-how"), "--help"], runs))
    peer = show("dagster --help", timed([str(PROGRAMS / "dagster"), "--help"], runs))
    print(f"ratio of the medians, dagster / ai-how: {peer / ours:.1f}")
    with embedded_platform():
        show("ai-how status", timed([str(PROGRAMS / "ai-how"), "status"], runs))
        show("ai-how checkpoints", timed([str(PROGRAMS / "ai-how"), "checkpoints"], runs))


def timed(command: Sequence[str], runs: int) -> list[float]:
    """Wall seconds of each run, after one that is not counted."""
    seconds = []
    for _ in range(runs + 1):
        started = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.monotonic() - started)
    return seconds[1:]


def show(what: str, seconds: Sequence[float]) -> float:
    median = statistics.median(seconds)
    print(f"{what}: min {min(seconds):.3f} s, median {median:.3f} s, max {max(seconds):.3f} s")
    return median


if __name__ == "__main__":
    main()
