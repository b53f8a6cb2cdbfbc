"""What the platform itself takes of a checkpoint's seven stages (<= 5 s); when it answers.

`python -m benchmarks.platform_overhead [--checkpoints N] [--kserve]`, with random tiny weights, so
that the model costs next to nothing. With `--kserve` model servers are pods of the testbed
(`tests/testbed`), and start is an InferenceService from its making on; until ready <= 12 s.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.embedded import MODEL, embedded_platform
from cloud_assets import stages
from cloud_assets.cli.progress import wait_for_run
from cloud_assets.settings import Settings
from examples.tiny_llama import write_checkpoint
from resources.dagster.graphql import DagsterGraphQL, Run
from resources.gateway import routes as gateway_routes
from tests.doubles.kserve_platform import backend_of, platform_on
from tests.testbed import sharing

START_PHASES = ("spawn_seconds", "health_seconds", "ready_seconds", "first_completion_seconds")
ONE_TOKEN = {"model": MODEL, "prompt": "Question: ", "max_tokens": 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=4)
    parser.add_argument("--kserve", action="store_true", help="on the testbed's cluster")
    options = parser.parse_args()
    measured: list[Mapping[str, float]] = []
    with kserve() if options.kserve else embedded() as (settings, address):
        graph = DagsterGraphQL(settings.dagster_url)
        for step in range(1, options.checkpoints + 1):
            measured.append(_measured(settings, graph, address, step))
    print(f"load average {os.getloadavg()[0]:.1f}")
    for what in measured[0]:
        values = [each[what] for each in measured]
        print(
            f"{what}: n {len(values)}, min {min(values):.2f} s, "
            f"median {statistics.median(values):.2f} s, max {max(values):.2f} s"
        )


@contextmanager
def embedded() -> Iterator[tuple[Settings, Callable[[], str]]]:
    """Settings of a platform that is up, and how to find where its endpoint answers."""
    with embedded_platform() as settings:
        yield settings, lambda: settings.gateway_url


@contextmanager
def kserve() -> Iterator[tuple[Settings, Callable[[], str]]]:
    """The same on the testbed; the address is that of the endpoint's Service."""
    with sharing.used() as cluster, tempfile.TemporaryDirectory() as home:
        assert cluster.s3 is not None, "the cluster has no S3 server"
        with platform_on(cluster, cluster.s3, Path(home)) as platform:
            backend = backend_of(platform, cluster)
            yield platform.settings, lambda: backend.address(MODEL)


def _measured(
    settings: Settings, graph: DagsterGraphQL, address: Callable[[], str], step: int
) -> Mapping[str, float]:
    """Seconds of one checkpoint, from its last byte on."""
    key = f"{MODEL}.overhead.{step}"
    write_checkpoint(
        settings.roots[0].path / "overhead" / f"checkpoint-{step}", seed=step, step=step
    )
    dropped = time.monotonic()
    run_id = _run_of(graph, key)
    _until_routed(settings, key)
    answered = _first_answer(address) - dropped
    run = wait_for_run(graph, run_id)
    start = _start(graph, key)
    found = {
        "drop to the first token of the promoted endpoint": answered,
        **start,
        "platform's share of seven stages": _share(graph, run, key, sum(start.values())),
    }
    print(key, ", ".join(f"{what} {took:.2f}" for what, took in found.items()))
    return found


def _run_of(graph: DagsterGraphQL, key: str) -> str:
    while True:
        runs = graph.runs(tags={stages.PARTITION_TAG: key}, limit=1)
        if runs:
            return runs[0].run_id
        time.sleep(0.1)


def _until_routed(settings: Settings, key: str) -> None:
    """The gateway's table is the last to be told of a promotion."""
    table = settings.home / "gateway" / "routes.json"
    while True:
        entry = gateway_routes.read(table).get(MODEL)
        if entry is not None and entry.route.key == key:
            return
        time.sleep(0.05)


def _first_answer(address: Callable[[], str]) -> float:
    while True:
        try:
            answer = httpx.post(f"{address()}/v1/completions", json=ONE_TOKEN, timeout=10)
            if answer.status_code == httpx.codes.OK:
                return time.monotonic()
        except httpx.HTTPError:
            pass
        time.sleep(0.05)


def _start(graph: DagsterGraphQL, key: str) -> dict[str, float]:
    served = _metadata(graph, stages.INFERENCE_SERVICE, key)
    return {f"start: {phase}": served[phase] for phase in START_PHASES if phase in served}


def _share(graph: DagsterGraphQL, run: Run, key: str, start: float) -> float:
    """From the run's start to the end of `release`, less what the model and the load test took."""
    released = next(step.ended for step in run.steps if step.name == stages.RELEASE) or 0
    load = _metadata(graph, stages.BENCHMARK_REPORT, key)["load_seconds"]
    return float(released - (run.started or 0) - start - load)


def _metadata(graph: DagsterGraphQL, asset: str, key: str) -> dict[str, float]:
    return dict(graph.events(asset, partitions=[key], limit=1)[0].metadata)


if __name__ == "__main__":
    main()
