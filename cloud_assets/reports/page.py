"""The HTML reports: one page per checkpoint, one trend page per model.

A page is one file without scripts that reaches for nothing outside itself, and forbids itself to by
its content security policy. File names and model answers are hostile: Jinja escapes everything
except our own figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cloud_assets.documents import (
    BenchmarkReport,
    Decision,
    Manifest,
    QualityReport,
    TargetResult,
)
from cloud_assets.reports import figures, trend
from cloud_assets.reports.rendering import marked, rendered
from cloud_assets.reports.trend import TrendPoint
from cloud_assets.reports.units import (
    between,
    duration,
    quantity,
    share,
    share_interval,
    significant,
    size,
)
from cloud_assets.settings import Profile
from resources.load.rows import RequestRow

LISTED_ITEMS = 100
LISTED_FILES = 200
LISTED_CHECKPOINTS = 1000
METRIC_NAMES = {
    "latency": "latency",
    "ttft": "time to first token",
    "throughput": "throughput",
    "output_tokens_per_second": "output tokens",
    "goodput": "goodput",
    "attainment": "requests within the objective",
    "failure_share": "failed requests",
}


@dataclass(frozen=True)
class CheckpointRecord:
    """All that is known of one checkpoint; what is not there is left out of the page.

    `stages` are seconds in the order in which they ran, `rows` all requests of the load test,
    `log_history` the list of that name in `trainer_state.json`, `profile` the workload in force.
    """

    manifest: Manifest
    quality: QualityReport | None = None
    benchmark: BenchmarkReport | None = None
    decision: Decision | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    rows: Sequence[RequestRow] = ()
    log_history: Sequence[Mapping[str, object]] = ()
    profile: Profile | None = None
    minimum_accuracy: float | None = None


def checkpoint_page(record: CheckpointRecord) -> str:
    """The page of one checkpoint, as one self-contained HTML document."""
    quality, files = record.quality, record.manifest.files
    failing = [item for item in quality.items if not item.passed] if quality else []
    return rendered(
        "checkpoint.html.j2",
        manifest=record.manifest,
        quality=quality,
        benchmark=record.benchmark,
        decision=record.decision,
        outcome=str(record.decision.outcome) if record.decision else "undecided",
        minimum_accuracy=record.minimum_accuracy,
        right=len(quality.items) - len(failing) if quality else 0,
        failing=failing[:LISTED_ITEMS],
        failing_count=len(failing),
        unlisted=max(0, len(failing) - LISTED_ITEMS),
        files=files[:LISTED_FILES],
        unlisted_files=max(0, len(files) - LISTED_FILES),
        tiles=_tiles(record),
        targets=[target_row(target) for target in record.benchmark.targets]
        if record.benchmark
        else [],
        percentiles=_percentiles(record.benchmark),
        figures=_figures(record),
        total_seconds=sum(record.stages.values()),
        facts=_facts(record.manifest),
        settings=_measurement_settings(record),
    )


def trend_page(model: str, rows: Sequence[TrendPoint], *, champion: str | None = None) -> str:
    """The page of a model's checkpoints, oldest first in `rows`; `champion` is the one served."""
    drawn = (
        trend.accuracy_trend(rows, champion),
        trend.latency_trend(rows, champion),
        trend.ttft_trend(rows, champion),
        trend.throughput_trend(rows, champion),
    )
    listed = [_trend_row(point, champion) for point in reversed(rows[-LISTED_CHECKPOINTS:])]
    counted = f"{len(rows):,} checkpoint{'' if len(rows) == 1 else 's'}"
    return rendered(
        "trend.html.j2",
        model=model,
        summary=f"{counted} measured; champion: {champion or 'none yet'}.",
        figures=marked(drawn),
        rows=listed,
    )


def _figures(record: CheckpointRecord) -> dict[str, str]:
    targets = record.benchmark.targets if record.benchmark else ()
    drawn = {"quality": "", "histogram": "", "stages": "", "loss": ""}
    if record.quality is not None:
        drawn["quality"] = figures.quality_bars(record.quality, record.minimum_accuracy)
    if record.rows:
        drawn["histogram"] = figures.latency_histogram(record.rows, targets)
        drawn["cdf"] = figures.latency_cdf(record.rows, targets)
        drawn["ttft"] = figures.ttft_cdf(record.rows, targets)
        drawn["throughput"] = figures.throughput_over_time(record.rows)
    if record.stages:
        drawn["stages"] = figures.stage_waterfall(record.stages)
    if record.log_history:
        drawn["loss"] = figures.training_loss(record.log_history, record.manifest.step)
    return dict(zip(drawn, marked(list(drawn.values())), strict=True))


def _tiles(record: CheckpointRecord) -> list[dict[str, str]]:
    tiles = []
    if record.quality is not None:
        accuracy = record.quality.accuracy
        tiles.append(("accuracy", share(accuracy.value), f"95 %: {share_interval(accuracy)}"))
    if (load := record.benchmark) is not None:
        failed = f"{load.failures:,} of {load.requests:,} requests"
        tiles += [
            ("latency P95", duration(load.latency.p95), f"median {duration(load.latency.p50)}"),
            ("first token P95", duration(load.ttft.p95), f"median {duration(load.ttft.p50)}"),
            ("throughput", f"{significant(load.throughput)} / s", _tokens(load)),
            ("failed", share(load.failures / load.requests if load.requests else None), failed),
        ]
    total, count = record.manifest.total_bytes, len(record.manifest.files)
    tiles.append(("published", size(total), f"{count:,} file{'' if count == 1 else 's'}"))
    return [{"name": name, "value": value, "note": note} for name, value, note in tiles]


def _tokens(report: BenchmarkReport) -> str:
    return f"{significant(report.output_tokens_per_second)} tokens/s"


def target_row(target: TargetResult) -> dict[str, str]:
    """The target, its bound, what was measured with its interval, and the verdict, as read."""
    base, _, percentile = target.metric.partition("_p")
    is_percentile = percentile.isdecimal()
    name = METRIC_NAMES.get(base if is_percentile else target.metric, target.metric)
    sign = "≤" if target.comparison == "<=" else "≥"
    measured = target.measured
    return {
        "name": f"{name}, P{percentile}" if is_percentile else name,
        "bound": f"{sign} {quantity(target.bound, target.unit)}",
        "measured": quantity(measured.value if measured else None, target.unit),
        "interval": between(measured, target.unit) if measured else "–",
        "verdict": str(target.verdict),
    }


def _percentiles(report: BenchmarkReport | None) -> list[tuple[str, object]]:
    if report is None:
        return []
    return [
        ("latency", report.latency),
        ("time to first token", report.ttft),
        ("between tokens", report.inter_token),
    ]


def _facts(manifest: Manifest) -> list[tuple[str, str, str]]:
    exact = f"{manifest.total_bytes:,} bytes in {len(manifest.files):,} files"
    facts = [
        ("model", manifest.model, ""),
        ("run, step", f"{manifest.run}, {manifest.step:,}", ""),
        ("layout", manifest.layout, ""),
        ("base model", manifest.base_model or "", ""),
        ("source", manifest.source, "code"),
        ("published under", manifest.prefix, "code"),
        ("size", exact, ""),
        ("digest", manifest.digest, "code"),
        ("fingerprint", manifest.fingerprint, "code"),
        ("published", _moment(manifest.written_at), ""),
    ]
    return [fact for fact in facts if fact[1]]


def _measurement_settings(record: CheckpointRecord) -> list[tuple[str, str]]:
    settings: list[tuple[str, str]] = []
    if (quality := record.quality) is not None:
        settings.append(("suite", f"{quality.suite}, SHA-256 {quality.suite_sha256}"))
        settings.append(("quality measured", _moment(quality.measured_at)))
    if (load := record.benchmark) is not None:
        settings += [
            ("load measured", _moment(load.measured_at)),
            ("send lag P99", duration(load.send_lag_p99)),
            ("client CPU", share(load.client_cpu)),
            ("raw rows", load.rows),
        ]
    if (profile := record.profile) is not None:
        settings += _profile_settings(profile)
    return settings


def _profile_settings(profile: Profile) -> list[tuple[str, str]]:
    shape = "Poisson" if profile.burstiness == 1 else f"gamma, shape {profile.burstiness:g}"
    phases = (profile.warmup_seconds, profile.steady_seconds, profile.cooldown_seconds)
    warm, steady, cool = map(duration, phases)
    reply = "streamed" if profile.stream else "in one piece"
    return [
        ("arrivals", f"{profile.rate:g} a second, {shape}, seed {profile.seed}"),
        ("phases", f"{warm} warm-up, {steady} steady, {cool} cool-down"),
        ("answers", f"{profile.output_tokens} tokens, {reply}, given up after "
                    f"{duration(profile.timeout_seconds)}"),
    ]  # fmt: skip


def _trend_row(point: TrendPoint, champion: str | None) -> dict[str, str]:
    outcome = "champion" if point.key == champion else str(point.outcome or "undecided")
    return {
        "key": point.key,
        "outcome": outcome,
        "accuracy": f"{100 * point.accuracy.value:.1f} %" if point.accuracy else "–",
        "interval": share_interval(point.accuracy) if point.accuracy else "–",
        "latency": duration(point.latency_p95),
        "ttft": duration(point.ttft_p95),
        "throughput": "–" if point.throughput is None else significant(point.throughput),
    }


def _moment(time: datetime) -> str:
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
