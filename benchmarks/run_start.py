"""How long a run takes to begin: forked by our launcher, and spawned by Dagster's, in turns.

`python -m benchmarks.run_start [ROUNDS]` prints medians in seconds, from launch to RUN_START and
from the run's creation (with up to a second in the queue), of a graph that imports next to nothing:
what a graph of one's own imports, Dagster's launcher would pay on top in every run.
"""

import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from dagster import DagsterInstance

from cloud_assets.cli.programs import instance_config
from tests.doubles.dagster_services import GRAPH, DagsterServices

ROUNDS = 15
WARMUP = 2


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    ours = instance_config()
    theirs = {name: value for name, value in ours.items() if name != "run_launcher"}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="run-start-")))
        instances = {}
        for name, configuration in (("fork", ours), ("spawn", theirs)):
            (directory / name).mkdir()
            services = DagsterServices(directory / name, configuration)
            services.preload = f"resources.dagster.preload,{GRAPH}"
            stack.callback(services.stop)
            services.start()
            instances[name] = (services, stack.enter_context(services.instance()))
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in instances}
        for _ in range(WARMUP + rounds):
            for name, (services, instance) in instances.items():
                took[name].append(_start(services, instance))
    _print({name: found[WARMUP:] for name, found in took.items()})


def _start(services: DagsterServices, instance: DagsterInstance) -> tuple[float, float]:
    """Seconds from the launch, and from the creation, of a run until it began."""
    run_id = services.graph.submit("both", assets=["quick"])
    while not (run := services.graph.run(run_id)) or not run.finished:
        time.sleep(0.05)
    stats = instance.get_run_stats(run_id)
    assert run.started is not None
    assert stats.launch_time is not None
    return run.started - stats.launch_time, run.started - run.created


def _print(took: dict[str, list[tuple[float, float]]]) -> None:
    for column, what in enumerate(("launch to start", "creation to start")):
        medians = {name: statistics.median(row[column] for row in took[name]) for name in took}
        figures = "  ".join(f"{name} {median:.3f} s" for name, median in medians.items())
        rounds = len(took["fork"])
        print(f"{what}: {figures}  ratio {medians['spawn'] / medians['fork']:.1f}  n={rounds}")


if __name__ == "__main__":
    main()
