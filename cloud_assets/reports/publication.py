"""Gathers the documents of a checkpoint and keeps its page, and its model's, in the store."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from cloud_assets.documents import BenchmarkReport, Decision, Manifest, QualityReport
from cloud_assets.identity import CheckpointKey, StorePaths, trend_page_path
from cloud_assets.lineage import read_document
from cloud_assets.reports.page import CheckpointRecord, checkpoint_page, trend_page
from cloud_assets.reports.trend import TrendPoint
from cloud_assets.settings import Settings
from resources.load.rows import RequestRow, read_parquet
from resources.object_store import ObjectStore

#: How far back a trend page looks: the newest checkpoints of a model, by step within a run.
TREND_LENGTH = 200


def write_checkpoint_page(
    store: ObjectStore,
    manifest: Manifest,
    settings: Settings,
    *,
    stages: Mapping[str, float],
    rows: Sequence[RequestRow] = (),
) -> str:
    """Write the page of one checkpoint; returns its text."""
    paths = StorePaths(manifest.key)
    record = CheckpointRecord(
        manifest=manifest,
        quality=_quality(store, manifest),
        benchmark=_benchmark(store, manifest),
        decision=read_document(
            store, paths.report(manifest.fingerprint, "decision.json"), Decision
        ),
        stages=stages,
        rows=rows,
        profile=settings.benchmark,
        minimum_accuracy=settings.evaluation.minimum_accuracy,
    )
    page = checkpoint_page(record)
    store.write(paths.report(manifest.fingerprint, "report.html"), page.encode())
    return page


def write_trend_page(
    store: ObjectStore, model: str, published: list[Manifest], champion: str | None
) -> str:
    """Write the trend page of `model` over its `published` checkpoints; returns its text."""
    ordered = sorted(published, key=lambda manifest: (manifest.written_at, manifest.step))
    points = [_point(store, manifest) for manifest in ordered[-TREND_LENGTH:]]
    page = trend_page(model, points, champion=champion)
    store.write(trend_page_path(model), page.encode())
    return page


def published_manifests(store: ObjectStore, model: str) -> list[Manifest]:
    """The manifests of all checkpoints of a model that are in the store."""
    names = [name for name in store.list("checkpoints/") if name.endswith("/manifest.json")]
    keys = sorted({name.split("/")[1] for name in names})
    mine = [key for key in keys if CheckpointKey.parse(key).model == model]
    found = (read_document(store, StorePaths(key).manifest, Manifest) for key in mine)
    return [manifest for manifest in found if manifest is not None]


def _quality(store: ObjectStore, manifest: Manifest) -> QualityReport | None:
    name = StorePaths(manifest.key).report(manifest.fingerprint, "quality.json")
    return read_document(store, name, QualityReport)


def _benchmark(store: ObjectStore, manifest: Manifest) -> BenchmarkReport | None:
    name = StorePaths(manifest.key).report(manifest.fingerprint, "benchmark.json")
    return read_document(store, name, BenchmarkReport)


def _point(store: ObjectStore, manifest: Manifest) -> TrendPoint:
    quality, benchmark = _quality(store, manifest), _benchmark(store, manifest)
    name = StorePaths(manifest.key).report(manifest.fingerprint, "decision.json")
    decision = read_document(store, name, Decision)
    return TrendPoint(
        key=manifest.key,
        step=manifest.step,
        accuracy=quality.accuracy if quality else None,
        latency_p95=benchmark.latency.p95 if benchmark else None,
        ttft_p95=benchmark.ttft.p95 if benchmark else None,
        throughput=benchmark.throughput if benchmark else None,
        outcome=decision.outcome if decision else None,
    )


def stored_rows(store: ObjectStore, manifest: Manifest) -> tuple[RequestRow, ...]:
    """The raw rows of the newest load test, as they were kept; none where there was none."""
    report = _benchmark(store, manifest)
    content = store.read(report.rows) if report else None
    if content is None:
        return ()
    with tempfile.TemporaryDirectory(prefix="ai-how-rows-") as directory:
        table = Path(directory) / "requests.parquet"
        table.write_bytes(content)
        return read_parquet(table)
