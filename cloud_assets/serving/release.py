"""The decision about one checkpoint, from its reports alone; `promotion` carries it out."""

from dataclasses import dataclass
from typing import Literal

from cloud_assets.documents import BenchmarkReport, Outcome, QualityReport, Verdict


@dataclass(frozen=True)
class Ruling:
    """What was decided and why; `fix` says what a person can do about it."""

    outcome: Outcome
    reasons: tuple[str, ...]
    fix: str | None = None


def decide(
    quality: QualityReport | None,
    benchmark: BenchmarkReport | None,
    *,
    promotion: Literal["automatic", "manual"],
    newer: str | None = None,
) -> Ruling:
    """Promoted when every gate holds; rejected when one fails; held when one cannot be judged.

    A gate without a measurement holds the checkpoint: silence is not a pass. `newer` is the
    champion where that was finished after this checkpoint, which then waits for somebody's word:
    one that was held up for an hour must not take the place of its successor.
    """
    if quality is None:
        return Ruling(Outcome.HELD, ("its quality was not measured",), "materialise quality_report")
    if not quality.passed:
        return Ruling(
            Outcome.REJECTED,
            quality.reasons,
            "train on; the champion stays in place",
        )
    if benchmark is None:
        return Ruling(Outcome.HELD, ("it was not load-tested",), "materialise benchmark_report")
    ruling = _measured(benchmark)
    if ruling is not None:
        return ruling
    if newer is not None:
        return Ruling(
            Outcome.HELD,
            (f"all gates hold, but the champion `{newer}` was finished later",),
            f"ai-how promote {quality.key}",
        )
    if promotion == "manual":
        return Ruling(
            Outcome.HELD,
            ("all gates hold; promotion is manual",),
            f"ai-how promote {quality.key}",
        )
    return Ruling(Outcome.PROMOTED, (*quality.reasons, _targets(benchmark)))


def _measured(report: BenchmarkReport) -> Ruling | None:
    if report.verdict is Verdict.FAIL:
        return Ruling(
            Outcome.REJECTED, _missed(report, Verdict.FAIL), "see the report; tune the runtime"
        )
    if report.verdict is Verdict.INVALID:
        return Ruling(
            Outcome.HELD,
            tuple(f"the load test is invalid: {reason}" for reason in report.invalid),
            f"ai-how bench {report.key} on a quieter machine",
        )
    if report.verdict is Verdict.UNDECIDED:
        return Ruling(
            Outcome.HELD,
            _missed(report, Verdict.UNDECIDED),
            "measure longer: raise benchmark.steady_seconds",
        )
    return None


def _missed(report: BenchmarkReport, verdict: Verdict) -> tuple[str, ...]:
    return tuple(
        f"{target.metric} {target.measured.value:.3g} {target.unit} "
        f"[{target.measured.low:.3g}, {target.measured.high:.3g}], "
        f"wanted {target.comparison} {target.bound:g}: {verdict.value}"
        for target in report.targets
        if target.verdict is verdict and target.measured is not None
    ) or (f"the load test's verdict is {verdict.value}",)


def _targets(report: BenchmarkReport) -> str:
    return f"{len(report.targets)} of {len(report.targets)} targets of `{report.profile}` held"
