"""Load-tests a served checkpoint by the profile in force and keeps report and raw rows."""

import json
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from cloud_assets.benchmarks.load_client import load_client
from cloud_assets.benchmarks.measurement import Subject, measure, reasons_against
from cloud_assets.benchmarks.schedule import make_plan
from cloud_assets.documents import BenchmarkReport, Manifest
from cloud_assets.identity import StorePaths
from cloud_assets.settings import Settings
from resources.errors import NeedsRepair, TransientError
from resources.load.rows import write_parquet
from resources.load.run import LoadResult
from resources.object_store import ObjectStore
from resources.serving import Slot


def load_test(slot: Slot, settings: Settings, context: dg.AssetExecutionContext) -> LoadResult:
    """Run the profile's schedule against `slot`, once more if the first run says nothing.

    A run is invalid when the client lagged, which a busy machine causes and a second run mends.
    """
    plan = make_plan(
        settings.benchmark,
        prompts=_prompts(settings, slot.model_name),
        url=slot.url,
        model=slot.model_name,
    )
    run = load_client(settings, context)
    result = run(plan)
    return run(plan) if reasons_against(result, settings.benchmark) else result


def require_same_engine(measured: Slot, slots: Iterable[Slot]) -> None:
    """Raises TransientError when the engine of the slot ended while it was measured.

    Its failures would count against the checkpoint, whoever ended it; one that always ends under
    load is held with this reason once the tries are used up.
    """
    now = next((slot for slot in slots if slot.name == measured.name), None)
    if now is None or now.since != measured.since:
        raise TransientError(
            "the load test", f"measure `{measured.key}`", "its model server ended meanwhile",
            hint=f"ai-how logs {measured.name}",
        )  # fmt: skip


def keep_report(
    result: LoadResult, manifest: Manifest, settings: Settings, store: ObjectStore
) -> BenchmarkReport:
    """The report of `result`, written to the store with the raw rows beside it."""
    paths = StorePaths(manifest.key)
    measured_at = datetime.now(UTC)
    rows = paths.report(manifest.fingerprint, f"requests-{measured_at:%Y%m%dT%H%M%SZ}.parquet")
    with tempfile.TemporaryDirectory(prefix="ai-how-rows-") as directory:
        table = Path(directory) / "requests.parquet"
        write_parquet(result.rows, table)
        store.write(rows, table.read_bytes())
    subject = Subject(manifest.key, manifest.digest, rows, measured_at)
    report = measure(result, settings.benchmark, subject)
    store.write(
        paths.report(manifest.fingerprint, "benchmark.json"), report.model_dump_json().encode()
    )
    return report


def _prompts(settings: Settings, model: str) -> list[Mapping[str, Any]]:
    """The profile's prompts, else those of the model's evaluation suite."""
    path = settings.benchmark.prompts or settings.evaluation.suites.get(model)
    if path is None:
        raise NeedsRepair(
            "the load test",
            f"find prompts for `{model}`",
            "neither the profile nor the evaluation names any",
            hint="set platform.benchmark.prompts to a file of JSON lines",
        )
    try:
        lines = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
        return [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        raise NeedsRepair(
            "the load test", f"read {path}", str(error), hint="one JSON object a line"
        ) from error
