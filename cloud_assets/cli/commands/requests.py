"""`bench`, `promote` and `rollback`: each asks the graph for a run, and waits for what it says."""

import getpass
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from cloud_assets.cli import output, run_steps
from cloud_assets.cli.progress import wait_for_run
from cloud_assets.cli.run_steps import Ended
from cloud_assets.identity import MODEL_PATTERN, CheckpointKey
from cloud_assets.settings import Settings
from cloud_assets.settings_file import load_settings
from cloud_assets.stages import BENCH_TAG, BENCHMARK_REPORT, PARTITION_TAG, RELEASE, RELEASE_JOB
from resources.dagster.graphql import DagsterGraphQL
from resources.errors import PermanentError, UsageError

FIGURES = ("verdict", "latency_p50", "latency_p95", "ttft_p95", "throughput", "goodput")


def bench(keys: Sequence[str], *, as_json: bool) -> None:
    """Queue all runs at once; the pool lets one measure at a time."""
    for key in keys:
        CheckpointKey.parse(key)
    settings = load_settings()
    graph = DagsterGraphQL(settings.dagster_url)
    tags = {BENCH_TAG: getpass.getuser()}
    runs = {
        key: graph.submit(RELEASE_JOB, assets=[BENCHMARK_REPORT], tags={PARTITION_TAG: key, **tags})
        for key in keys
    }
    rows = []
    for key, run_id in runs.items():
        output.note(f"{key}: run {run_id}")
        require_success(graph, run_id, f"measure `{key}`")
        event = next(e for e in graph.events(BENCHMARK_REPORT, partitions=[key], limit=1))
        rows.append({"checkpoint": key, **{name: event.metadata.get(name) for name in FIGURES}})
    output.records(("checkpoint", *FIGURES), rows, as_json=as_json)


def promote(key: str, *, reason: str, as_json: bool) -> None:
    CheckpointKey.parse(key)
    settings = load_settings()
    _release(settings, key, {"action": "promote", "reason": reason}, as_json=as_json)


def rollback(model: str, *, reason: str, as_json: bool) -> None:
    from resources.mlflow.rest import alias_target

    if not MODEL_PATTERN.match(model):
        raise UsageError(f"`{model}` is not a model name", hint="`ai-how endpoint` lists them")
    settings = load_settings()
    target = alias_target(settings.registry_url, model, "previous")
    if target is None:
        raise PermanentError(
            "the registry", f"find what to roll `{model}` back to", "it has no previous champion",
            hint="`ai-how promote KEY` names a checkpoint outright",
        )  # fmt: skip
    key, version = target
    request = {"action": "rollback", "version": version, "reason": reason}
    _release(settings, key, request, as_json=as_json)


def _release(settings: Settings, key: str, request: dict[str, Any], *, as_json: bool) -> None:
    graph = DagsterGraphQL(settings.dagster_url)
    config = {"ops": {RELEASE: {"config": {**request, "requested_by": getpass.getuser()}}}}
    run_id = graph.submit(RELEASE_JOB, assets=[RELEASE], config=config, tags={PARTITION_TAG: key})
    output.note(f"{key}: run {run_id}")
    require_success(graph, run_id, f"{request['action']} `{key}`")
    event = next(e for e in graph.events(RELEASE, partitions=[key], limit=1))
    if as_json:
        output.json_document(asdict(event))
    else:
        output.line(f"{key} {event.metadata['outcome']}: {'; '.join(event.metadata['reasons'])}")


def require_success(graph: DagsterGraphQL, run_id: str, action: str) -> None:
    """Wait for the run. Raises PermanentError with its reason unless it succeeded."""
    run_steps.require_success(graph, Ended(wait_for_run(graph, run_id), {}), action)
