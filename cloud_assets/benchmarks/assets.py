"""The measurements of a checkpoint as assets: its quality, its load test, and its model's trend.

Each serves the checkpoint for as long as it measures, unless it is up already, so that a backfill
over old keys leaves nothing running.
"""

import dagster as dg

from cloud_assets import keys
from cloud_assets.benchmarks.load_test import keep_report, load_test
from cloud_assets.benchmarks.metadata import (
    benchmark_metadata,
    benchmark_metrics,
    quality_metadata,
    verdict_sentence,
)
from cloud_assets.benchmarks.pages import (
    plotted,
    published_manifests,
    write_checkpoint_page,
    write_trend_page,
)
from cloud_assets.benchmarks.quality import judged
from cloud_assets.benchmarks.quality import quality_report as report_of
from cloud_assets.benchmarks.quality_gate import champion_report, evaluate, suite_of
from cloud_assets.documents import Manifest, Verdict
from cloud_assets.identity import StorePaths, trend_page_path
from cloud_assets.lineage import outcomes, published, servable
from cloud_assets.settings import Settings
from resources.mlflow import Registry
from resources.object_store import ObjectStore
from resources.serving import ServingBackend, borrowed

# The two gates do not block the run: the same run must come to `release`, which turns the
# candidate away and says why.
ACCURACY_HOLDS = dg.AssetCheckSpec(
    "accuracy_holds",
    asset=keys.QUALITY_REPORT,
    partitions_def=keys.CHECKPOINTS,
    description="Accuracy reaches the minimum and is not significantly below the champion's.",
)
TARGETS_MET = dg.AssetCheckSpec(
    "targets_met",
    asset=keys.BENCHMARK_REPORT,
    partitions_def=keys.CHECKPOINTS,
    description="A valid load test met every target of the profile.",
)


@dg.asset(
    name=keys.QUALITY_REPORT,
    op_tags={"dagster/priority": "1"},
    deps=[keys.INFERENCE_SERVICE],
    partitions_def=keys.CHECKPOINTS,
    group_name=keys.ML_GROUP,
    owners=keys.ML_OWNERS,
    kinds={"openai"},
    code_version="1",
    pool=keys.GPU_POOL,
    check_specs=[ACCURACY_HOLDS],
)
def quality_report(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[ObjectStore],
    registry: dg.ResourceParam[Registry],
    serving: dg.ResourceParam[ServingBackend],
) -> dg.MaterializeResult:
    """The evaluation suite over the served checkpoint, compared with the champion item by item."""
    with outcomes():
        manifest = published(store, context.partition_key)
        suite = suite_of(settings, manifest.model)
        wanted, limit = servable(manifest, store, settings), settings.serving.timeout_seconds
        with borrowed(serving, wanted, timeout_seconds=limit) as served:
            measurement = evaluate(suite, served.slot, settings)
        report = judged(
            report_of(
                suite,
                measurement,
                key=manifest.key,
                digest=manifest.digest,
                champion=champion_report(manifest.model, store, registry),
            ),
            minimum_accuracy=settings.evaluation.minimum_accuracy,
            significance=settings.evaluation.significance,
        )
        name = StorePaths(manifest.key).report(manifest.fingerprint, "quality.json")
        store.write(name, report.model_dump_json().encode())
        _log(registry, manifest, {"accuracy": report.accuracy.value}, suite.name)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(f"{manifest.digest[:16]}:{suite.sha256[:16]}"),
        metadata=quality_metadata(report, store.url(name)),
        check_results=[
            dg.AssetCheckResult(
                check_name="accuracy_holds",
                passed=report.passed,
                description="; ".join(report.reasons),
            )
        ],
    )


@dg.asset(
    name=keys.BENCHMARK_REPORT,
    deps=[keys.INFERENCE_SERVICE],
    partitions_def=keys.CHECKPOINTS,
    group_name=keys.ML_GROUP,
    owners=keys.ML_OWNERS,
    kinds={"locust"},
    code_version="1",
    pool=keys.GPU_POOL,
    check_specs=[TARGETS_MET],
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
)
def benchmark_report(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[ObjectStore],
    registry: dg.ResourceParam[Registry],
    serving: dg.ResourceParam[ServingBackend],
) -> dg.MaterializeResult:
    """An open-loop load test of the served checkpoint against the profile's targets."""
    with outcomes():
        manifest = published(store, context.partition_key)
        wanted, limit = servable(manifest, store, settings), settings.serving.timeout_seconds
        with borrowed(serving, wanted, timeout_seconds=limit) as served:
            result = load_test(served.slot, settings)
        report = keep_report(result, manifest, settings, store)
        rows = plotted(result.rows)
        page = write_checkpoint_page(
            store, manifest, settings, stages=stage_seconds(context), rows=rows
        )
        _log(registry, manifest, benchmark_metrics(report), settings.benchmark.name)
        _attach(registry, manifest, page)
        address = store.url(StorePaths(manifest.key).report(manifest.fingerprint, "report.html"))
    return dg.MaterializeResult(
        data_version=dg.DataVersion(f"{manifest.digest[:16]}:{report.measured_at.isoformat()}"),
        metadata=benchmark_metadata(report, rows, address),
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
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[ObjectStore],
    registry: dg.ResourceParam[Registry],
) -> dg.MaterializeResult:
    """A page a model: quality and speed over its checkpoints, with the champion marked."""
    with outcomes():
        pages = {}
        for model in sorted({root.model for root in settings.roots}):
            champion = registry.alias(model, keys.CHAMPION)
            served = champion.key if champion else None
            write_trend_page(store, model, published_manifests(store, model), served)
            pages[model] = dg.MetadataValue.url(store.url(trend_page_path(model)))
    return dg.MaterializeResult(metadata=pages)


def stage_seconds(context: dg.AssetExecutionContext) -> dict[str, float]:
    """How long the finished stages of this run took, in the order of the stages."""
    stats = context.instance.get_run_step_stats(context.run.run_id)
    took = {
        step.step_key: step.end_time - step.start_time
        for step in stats
        if step.start_time is not None and step.end_time is not None
    }
    return {stage: took[stage] for stage in keys.STAGES if stage in took}


def _log(registry: Registry, manifest: Manifest, figures: dict[str, float], dataset: str) -> None:
    """Keep the figures with the registered version, where there is one."""
    version = registry.version(manifest.model, manifest.key)
    if version is not None:
        registry.log(version, figures, dataset=dataset)


def _attach(registry: Registry, manifest: Manifest, page: str) -> None:
    version = registry.version(manifest.model, manifest.key)
    if version is not None:
        registry.attach(version, "report.html", page)
