"""The load test of a checkpoint and the trend of its model as assets.

The checkpoint is served for as long as it is measured, unless it is up already, so that a backfill
over old keys leaves nothing running.
"""

import dagster as dg

from cloud_assets import keys
from cloud_assets.benchmarks.load_test import keep_report, load_test, require_same_engine
from cloud_assets.benchmarks.metadata import (
    benchmark_metadata,
    benchmark_metrics,
    verdict_sentence,
)
from cloud_assets.documents import Manifest, Verdict
from cloud_assets.identity import CheckpointKey, StorePaths, trend_page_path
from cloud_assets.lineage import outcomes, place, published, record_figures, servable, waiting
from cloud_assets.reports.publication import (
    published_manifests,
    stored_rows,
    write_checkpoint_page,
    write_trend_page,
)
from cloud_assets.settings import Settings
from resources.mlflow import Registry
from resources.object_store import ObjectStore
from resources.serving import ServingBackend, borrowed

PAGE = "report.html"

# Like the quality gate it does not block the run: `release` must be reached in any case.
TARGETS_MET = keys.checkpoint_check(
    "targets_met",
    keys.BENCHMARK_REPORT,
    "A valid load test met every target of the profile.",
    blocking=False,
)


@keys.stage(
    keys.BENCHMARK_REPORT,
    kind="locust",
    after=[keys.INFERENCE_SERVICE],
    checks=[TARGETS_MET],
    pool=keys.GPU_POOL,
)
def benchmark_report(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[ObjectStore],
    registry: dg.ResourceParam[Registry],
    serving: dg.ResourceParam[ServingBackend],
) -> dg.MaterializeResult:
    """An open-loop load test of the served checkpoint against the profile's targets."""
    with outcomes(), waiting(context) as on_wait:
        manifest = published(store, context.partition_key)
        wanted, limit = servable(manifest, store, settings), settings.serving.timeout_seconds
        with borrowed(serving, wanted, timeout_seconds=limit, on_wait=on_wait) as served:
            result = load_test(served.slot, settings, context)
            require_same_engine(served.slot, serving.slots())
        report = keep_report(result, manifest, settings, store)
        record_figures(registry, manifest, benchmark_metrics(report), settings.benchmark.name)
        if not _goes_on(context):
            stages = stage_seconds(context)
            page = write_checkpoint_page(store, manifest, settings, stages=stages, rows=result.rows)
            _attach(registry, manifest, page)
        file = store.url(StorePaths(manifest.key).report(manifest.fingerprint, PAGE))
        address = _page_address(registry, manifest) or file
    return dg.MaterializeResult(
        data_version=dg.DataVersion(f"{manifest.digest[:16]}:{report.measured_at.isoformat()}"),
        metadata={
            **benchmark_metadata(report, result.rows, address),
            "report_file": place(file),
            "load_seconds": round(result.client.wall_seconds, 3),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="targets_met",
                passed=report.verdict is Verdict.PASS,
                description=verdict_sentence(report),
            )
        ],
    )


@dg.asset(
    name=keys.BENCHMARK_TREND,
    deps=[keys.RELEASE],
    group_name=keys.ML_GROUP,
    owners=keys.ML_OWNERS,
    kinds={"html"},
    code_version="1",
)
def benchmark_trend(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[ObjectStore],
    registry: dg.ResourceParam[Registry],
) -> dg.MaterializeResult:
    """A page a model: quality and speed over its checkpoints, with the champion marked.

    In a checkpoint's own run its page is drawn anew, now that the decision is known.
    """
    key = context.run.tags.get(keys.PARTITION_TAG)
    pages: dict[str, dg.MetadataValue] = {}
    with outcomes():
        if key is not None:
            manifest = published(store, key)
            rows = stored_rows(store, manifest)
            stages = stage_seconds(context)
            page = write_checkpoint_page(store, manifest, settings, stages=stages, rows=rows)
            pages[key] = place(_attach(registry, manifest, page))
        for model in _models(settings, key):
            champion = registry.alias(model, keys.CHAMPION)
            served = champion.key if champion else None
            write_trend_page(store, model, published_manifests(store, model), served)
            pages[model] = place(store.url(trend_page_path(model)))
    return dg.MaterializeResult(metadata=pages)


def _goes_on(context: dg.AssetExecutionContext) -> bool:
    """Whether this run comes to `benchmark_trend`, which draws the page with the decision on it."""
    return context.run.job_name == keys.RELEASE_JOB and context.run.asset_selection is None


def _models(settings: Settings, key: str | None) -> list[str]:
    """The models whose trend may have changed: the checkpoint's own, else all."""
    if key is not None:
        return [CheckpointKey.parse(key).model]
    return sorted({root.model for root in settings.roots})


def stage_seconds(context: dg.AssetExecutionContext) -> dict[str, float]:
    """How long the finished stages of this run took, in the order of the stages."""
    stats = context.instance.get_run_step_stats(context.run.run_id)
    took = {
        step.step_key: step.end_time - step.start_time
        for step in stats
        if step.start_time is not None and step.end_time is not None
    }
    return {stage: took[stage] for stage in keys.STAGES if stage in took}


def _attach(registry: Registry, manifest: Manifest, page: str) -> str:
    """Keep the page with the checkpoint's version; returns where a browser finds it."""
    version = registry.version(manifest.model, manifest.key, manifest.digest)
    return registry.attach(version, PAGE, page) if version else ""


def _page_address(registry: Registry, manifest: Manifest) -> str:
    """Where a browser finds the page by the end of this run; empty for what is not registered."""
    version = registry.version(manifest.model, manifest.key, manifest.digest)
    return registry.attachment(version, PAGE) if version else ""
