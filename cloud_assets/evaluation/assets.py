"""The quality of a checkpoint as an asset; serves the checkpoint while it asks, unless it is up."""

import dagster as dg

from cloud_assets import keys
from cloud_assets.documents import QualityReport
from cloud_assets.evaluation.gate import champion_report, evaluate, suite_of
from cloud_assets.evaluation.quality import judged
from cloud_assets.evaluation.quality import quality_report as report_of
from cloud_assets.identity import StorePaths
from cloud_assets.lineage import outcomes, place, published, record_figures, servable, waiting
from cloud_assets.settings import Settings
from resources.mlflow import Registry
from resources.object_store import ObjectStore
from resources.serving import ServingBackend, borrowed

# This gate does not block the run: the same run must come to `release`, which turns the candidate
# away and says why.
ACCURACY_HOLDS = keys.checkpoint_check(
    "accuracy_holds",
    keys.QUALITY_REPORT,
    "Accuracy reaches the minimum and is not significantly below the champion's.",
    blocking=False,
)


@keys.stage(
    keys.QUALITY_REPORT,
    kind="openai",
    after=[keys.INFERENCE_SERVICE],
    checks=[ACCURACY_HOLDS],
    pool=keys.GPU_POOL,
    op_tags={"dagster/priority": "1"},
)
def quality_report(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[ObjectStore],
    registry: dg.ResourceParam[Registry],
    serving: dg.ResourceParam[ServingBackend],
) -> dg.MaterializeResult:
    """The evaluation suite over the served checkpoint, compared with the champion item by item."""
    with outcomes(), waiting(context) as on_wait:
        manifest = published(store, context.partition_key)
        suite = suite_of(settings, manifest.model)
        wanted, limit = servable(manifest, store, settings), settings.serving.timeout_seconds
        with borrowed(serving, wanted, timeout_seconds=limit, on_wait=on_wait) as served:
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
        record_figures(registry, manifest, {"accuracy": report.accuracy.value}, suite.name)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(f"{manifest.digest[:16]}:{suite.sha256[:16]}"),
        metadata=_metadata(report, store.url(name)),
        check_results=[
            dg.AssetCheckResult(
                check_name="accuracy_holds",
                passed=report.passed,
                description="; ".join(report.reasons),
            )
        ],
    )


def _metadata(
    report: QualityReport, url: str
) -> dict[str, dg.MetadataValue | str | int | float | bool | list[str]]:
    comparison = report.comparison
    against: dict[str, str | float] = {}
    if comparison is not None:
        against = {
            "champion": comparison.champion,
            "champion_accuracy": round(comparison.champion_accuracy, 4),
            "p_value": comparison.p_value,
        }
    return {
        "accuracy": round(report.accuracy.value, 4),
        "accuracy_low": round(report.accuracy.low, 4),
        "accuracy_high": round(report.accuracy.high, 4),
        "items": len(report.items),
        "asking_seconds": round(report.seconds, 3),
        "passed": report.passed,
        "reasons": list(report.reasons),
        "suite": report.suite,
        "report": place(url),
        **against,
    }
