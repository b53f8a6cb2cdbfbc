"""What the platform itself takes of a checkpoint's seven stages: all but model start and load test.

    python -m benchmarks.platform_overhead [--checkpoints N]

Random tiny weights, so that the model costs next to nothing. Bound: <= 5 s.
"""

import argparse
import statistics
import time

from benchmarks.embedded import MODEL, embedded_platform
from cloud_assets import stages
from cloud_assets.cli.progress import wait_for_run
from examples.tiny_llama import write_checkpoint
from resources.dagster.graphql import DagsterGraphQL, Run

START_PHASES = ("spawn_seconds", "health_seconds", "first_completion_seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=4)
    count = parser.parse_args().checkpoints
    with embedded_platform() as settings:
        graph = DagsterGraphQL(settings.dagster_url)
        overheads = []
        for step in range(1, count + 1):
            key = f"{MODEL}.overhead.{step}"
            directory = settings.roots[0].path / "overhead" / f"checkpoint-{step}"
            write_checkpoint(directory, seed=step, step=step)
            run = wait_for_run(graph, _run_of(graph, key))
            overheads.append(_overhead(graph, run, key))
    overheads.sort()
    print(
        f"platform's share of seven stages: n {count}, min {overheads[0]:.2f} s, "
        f"median {statistics.median(overheads):.2f} s, max {overheads[-1]:.2f} s"
    )


def _run_of(graph: DagsterGraphQL, key: str) -> str:
    while True:
        runs = graph.runs(tags={stages.PARTITION_TAG: key}, limit=1)
        if runs:
            return runs[0].run_id
        time.sleep(0.2)


def _overhead(graph: DagsterGraphQL, run: Run, key: str) -> float:
    """From the run's start to the end of `release`, less what the model and the load test took."""
    took = {step.name: (step.ended or 0) - (step.started or 0) for step in run.steps}
    released = next(step.ended for step in run.steps if step.name == stages.RELEASE) or 0
    served = _metadata(graph, stages.INFERENCE_SERVICE, key)
    start = sum(served[phase] for phase in START_PHASES if phase in served)
    load = _metadata(graph, stages.BENCHMARK_REPORT, key)["load_seconds"]
    overhead = float(released - (run.started or 0) - start - load)
    listed = ", ".join(f"{name} {took[name]:.2f}" for name in stages.STAGES if name in took)
    print(f"{key}: {overhead:.2f} s (stages {listed}; model start {start:.2f}, load {load:.2f})")
    return overhead


def _metadata(graph: DagsterGraphQL, asset: str, key: str) -> dict[str, float]:
    return dict(graph.events(asset, partitions=[key], limit=1)[0].metadata)


if __name__ == "__main__":
    main()
