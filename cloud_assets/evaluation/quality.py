"""Quality of a checkpoint: asking a suite, the share that is right, and the paired comparison.

Who answers is a callable; the endpoint behind it is `resources.openai.client`'s business.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from cloud_assets.documents import Interval, ItemResult, PairedComparison, QualityReport
from cloud_assets.evaluation.suite import Suite, SuiteItem
from cloud_assets.reports.units import probability, share, share_interval
from cloud_assets.wilson import wilson
from resources.errors import ExternalError, PermanentError, TransientError

Ask = Callable[[SuiteItem], str]


@dataclass(frozen=True)
class Measurement:
    """The answers in the order of the suite, and the seconds that asking took."""

    items: tuple[ItemResult, ...]
    seconds: float


class QualityVerdict(NamedTuple):
    """Whether the checkpoint is good enough, and why, in sentences with the figures."""

    passed: bool
    reasons: tuple[str, ...]


def measure(suite: Suite, ask: Ask, *, workers: int = 4) -> Measurement:
    """Ask every item, `workers` at a time, and judge the answers.

    An item without an answer is never counted as a wrong one: whatever `ask` raises ends the
    measurement, ExternalErrors with the item's id added and their kind kept.
    """
    started = time.monotonic()

    def answered(item: SuiteItem) -> ItemResult:
        return _result(item, _asked(item, ask))

    # `map` cancels what has not begun as soon as one item failed.
    with ThreadPoolExecutor(workers, thread_name_prefix="suite") as pool:
        items = tuple(pool.map(answered, suite.items))
    return Measurement(items, time.monotonic() - started)


def quality_report(
    suite: Suite,
    measurement: Measurement,
    *,
    key: str,
    digest: str,
    champion: QualityReport | None = None,
) -> QualityReport:
    """The report of one checkpoint; compared with the champion's where there is another one."""
    compared = champion if champion is not None and champion.key != key else None
    return QualityReport(
        key=key,
        digest=digest,
        suite=suite.name,
        suite_sha256=suite.sha256,
        items=measurement.items,
        accuracy=accuracy(measurement.items),
        comparison=compare(measurement.items, compared.items, champion=compared.key)
        if compared
        else None,
        seconds=measurement.seconds,
        measured_at=datetime.now(UTC),
    )


def accuracy(items: Sequence[ItemResult]) -> Interval:
    """The share of right answers with its 95 % Wilson interval."""
    return wilson(sum(item.passed for item in items), len(items))


def compare(
    candidate: Iterable[ItemResult], before: Iterable[ItemResult], *, champion: str
) -> PairedComparison | None:
    """Candidate against the items `before` of the champion; None without an item in common.

    Items pair up by id, and only where prompt and expectation are the same: a suite that was
    changed in between is compared on what stayed.
    """
    known = {(item.item, item.prompt, item.expected): item.passed for item in before}
    pairs = [
        (item.passed, known[identity])
        for item in candidate
        if (identity := (item.item, item.prompt, item.expected)) in known
    ]
    if not pairs:
        return None
    candidate_only, champion_only = pairs.count((True, False)), pairs.count((False, True))
    both = pairs.count((True, True))
    return PairedComparison(
        champion=champion,
        champion_accuracy=(both + champion_only) / len(pairs),
        both=both,
        candidate_only=candidate_only,
        champion_only=champion_only,
        neither=pairs.count((False, False)),
        p_value=mcnemar(candidate_only, champion_only),
    )


def mcnemar(first_only: int, second_only: int) -> float:
    """McNemar's exact two-sided p: twice the smaller tail of a fair coin on the discordant pairs.

    In whole numbers, so no rounding however many pairs there are (Agresti 2013, section 11.1.1).
    """
    discordant = first_only + second_only
    smaller = min(first_only, second_only)
    tail = sum(math.comb(discordant, count) for count in range(smaller + 1))
    # The quotient of whole numbers: 2**discordant alone may be too large for a float.
    return float(min(1.0, 2 * tail / (1 << discordant)))


def verdict(
    report: QualityReport, *, minimum_accuracy: float, significance: float
) -> QualityVerdict:
    """Whether the checkpoint passes the gate, with a reason for each thing looked at.

    It fails when the accuracy as estimated (not its interval's lower bound: a small suite could
    then never pass) is below `minimum_accuracy`, or when the champion alone was right more often
    than the candidate alone and McNemar's p is below `significance`.
    """
    right, total = sum(item.passed for item in report.items), len(report.items)
    reached = total > 0 and report.accuracy.value >= minimum_accuracy
    relation = "at least" if reached else "below"
    reasons = [
        f"{right} of {total} right ({share(report.accuracy.value)}, 95 % interval "
        f"{share_interval(report.accuracy)}), {relation} the minimum of {share(minimum_accuracy)}"
    ]
    if report.comparison is None:
        return QualityVerdict(reached, tuple(reasons))
    worse = _worse(report.comparison, significance)
    reasons.append(_against_champion(report.comparison, worse=worse))
    return QualityVerdict(reached and not worse, tuple(reasons))


def judged(report: QualityReport, *, minimum_accuracy: float, significance: float) -> QualityReport:
    """The report with the gate's word in it."""
    passed, reasons = verdict(report, minimum_accuracy=minimum_accuracy, significance=significance)
    return report.model_copy(update={"passed": passed, "reasons": reasons})


def _worse(comparison: PairedComparison, significance: float) -> bool:
    return (
        comparison.champion_only > comparison.candidate_only and comparison.p_value < significance
    )


def _against_champion(comparison: PairedComparison, *, worse: bool) -> str:
    both = comparison.both
    total = both + comparison.candidate_only + comparison.champion_only + comparison.neither
    judged = "significantly worse than the champion" if worse else "not worse than the champion"
    if not worse and comparison.champion_only > comparison.candidate_only:
        judged = "behind the champion, but within chance"
    return (
        f"{judged}: {both + comparison.candidate_only} of {total} right, the champion "
        f"{comparison.champion} {both + comparison.champion_only} of {total}; "
        f"{probability(comparison.p_value)}"
    )


def _asked(item: SuiteItem, ask: Ask) -> str:
    try:
        return ask(item)
    except ExternalError as error:
        kind = TransientError if isinstance(error, TransientError) else PermanentError
        raise kind(
            "the evaluation", f"ask item `{item.id}`", str(error), hint=error.hint
        ) from error


def _result(item: SuiteItem, answer: str) -> ItemResult:
    return ItemResult(
        item=item.id,
        prompt=item.prompt,
        expected=" | ".join(item.expected),
        answer=answer,
        passed=item.accepts(answer),
    )
