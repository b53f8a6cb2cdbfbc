"""What Dagster's UI shows of a measurement without a click: figures, targets, a picture, a link.

It draws tables and short Markdown in place; numbers are plotted over the partitions.
"""

from collections.abc import Sequence

import dagster as dg

from cloud_assets.documents import BenchmarkReport
from cloud_assets.lineage import place
from cloud_assets.reports.page import target_row
from cloud_assets.reports.thumbnail import latency_picture
from resources.load.rows import RequestRow

Metadata = dict[str, dg.MetadataValue | str | int | float | bool | list[str]]
TARGET_COLUMNS = ("name", "bound", "measured", "interval", "verdict")


def benchmark_metadata(report: BenchmarkReport, rows: Sequence[RequestRow], page: str) -> Metadata:
    """`page` is the address of the report: a link where a browser can follow it."""
    picture = latency_picture(rows, report.targets)
    return {
        "verdict": report.verdict.value,
        **{name: round(value, 6) for name, value in benchmark_metrics(report).items()},
        "requests": report.requests,
        "failures": report.failures,
        "targets": _targets(report),
        **({"latency": dg.MetadataValue.md(picture)} if picture else {}),
        "report": place(page),
        "profile": report.profile,
    }


def _targets(report: BenchmarkReport) -> dg.MetadataValue:
    schema = dg.TableSchema([dg.TableColumn(name, "string") for name in TARGET_COLUMNS])
    rows = [target_row(target) for target in report.targets]
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows], schema)


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
