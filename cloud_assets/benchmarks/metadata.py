"""What Dagster's UI shows of a measurement: figures to sort by, links, and a plot."""

import base64
from collections.abc import Sequence

import dagster as dg

from cloud_assets.documents import BenchmarkReport
from cloud_assets.lineage import place
from cloud_assets.reports.figures import latency_cdf
from resources.load.rows import RequestRow

Metadata = dict[str, dg.MetadataValue | str | int | float | bool | list[str]]


def benchmark_metadata(report: BenchmarkReport, rows: Sequence[RequestRow], page: str) -> Metadata:
    return {
        **{name: round(value, 6) for name, value in benchmark_metrics(report).items()},
        "verdict": report.verdict.value,
        "requests": report.requests,
        "failures": report.failures,
        "profile": report.profile,
        "report": place(page),
        "latency": dg.MetadataValue.md(_picture(latency_cdf(rows, report.targets))),
    }


def benchmark_metrics(report: BenchmarkReport) -> dict[str, float]:
    """The figures that are compared over checkpoints; seconds, requests and tokens a second."""
    figures = {
        "latency_p50": report.latency.p50,
        "latency_p95": report.latency.p95,
        "latency_p99": report.latency.p99,
        "ttft_p50": report.ttft.p50,
        "ttft_p95": report.ttft.p95,
        "inter_token_p50": report.inter_token.p50,
        "throughput": report.throughput,
        "goodput": report.goodput,
        "output_tokens_per_second": report.output_tokens_per_second,
    }
    return {name: value for name, value in figures.items() if value is not None}


def verdict_sentence(report: BenchmarkReport) -> str:
    if report.invalid:
        return "invalid: " + "; ".join(report.invalid)
    missed = [target.metric for target in report.targets if target.verdict.value != "pass"]
    total = len(report.targets)
    return f"{report.verdict.value}: {total - len(missed)} of {total} targets met" + (
        f", not {', '.join(missed)}" if missed else ""
    )


def _picture(svg: str) -> str:
    encoded = base64.b64encode(svg.encode()).decode()
    return f"![latency](data:image/svg+xml;base64,{encoded})"
