"""The documents that the rooms hand to one another through the object store, typed and frozen.

Rooms do not import one another: what the serving room knows of an artifact is the manifest, what
the release knows of a measurement is the report.
"""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """Base of all documents: frozen, and an unknown field is an error.

    Infinity (the latency of a failed request) is written as a string, which every JSON reader takes
    and which reads back as a number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class PublishedFile(Document):
    """One file of an artifact: its name below the model prefix, its size in bytes, its SHA-256."""

    name: str
    size: int
    sha256: str


class Manifest(Document):
    """What was published for one checkpoint; `digest` is the data version of all made from it.

    `finished_at` is when the trainer wrote the last of its files.
    """

    key: str
    model: str
    run: str
    step: int
    layout: str
    fingerprint: str
    source: str
    prefix: str
    files: tuple[PublishedFile, ...]
    digest: str
    finished_at: datetime
    written_at: datetime
    base_model: str | None = None

    @property
    def total_bytes(self) -> int:
        return sum(file.size for file in self.files)


class Interval(Document):
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


class ItemResult(Document):
    """One item of an evaluation suite: asked, expected, answered, and whether it counts."""

    item: str
    prompt: str
    expected: str
    answer: str
    passed: bool


class PairedComparison(Document):
    """Candidate against champion on the same items: who alone was right, and the exact p-value.

    `p_value` is McNemar's exact test, two-sided (binomial on the discordant pairs).
    """

    champion: str
    champion_accuracy: float
    both: int
    candidate_only: int
    champion_only: int
    neither: int
    p_value: float


class QualityReport(Document):
    """An evaluation suite over one endpoint; until the gate has judged it, it has not passed."""

    key: str
    digest: str
    suite: str
    suite_sha256: str
    items: tuple[ItemResult, ...]
    accuracy: Interval
    comparison: PairedComparison | None
    passed: bool = False
    reasons: tuple[str, ...] = ()
    seconds: float
    measured_at: datetime


class Verdict(StrEnum):
    """What a measurement says of a target; `undecided` when its interval holds the bound."""

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"
    INVALID = "invalid"


class TargetResult(Document):
    """One target of a profile with what was measured, in the target's unit."""

    metric: str
    comparison: Literal["<=", ">="]
    bound: float
    unit: str
    measured: Interval | None
    verdict: Verdict


class Percentiles(Document):
    """Percentiles of one latency over the steady window, in seconds; None: nothing was seen."""

    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    maximum: float | None


class BenchmarkReport(Document):
    """One load test of one checkpoint; the raw rows stand beside it as Parquet.

    Latencies run from the intended send time (no coordinated omission). `invalid` holds the reasons
    for which the run says nothing about the server, such as a lagging client.
    """

    key: str
    digest: str
    profile: str
    requests: int
    failures: int
    duration_seconds: float
    offered_rate: float
    throughput: float
    output_tokens_per_second: float
    goodput: float
    attainment: Interval | None
    latency: Percentiles
    ttft: Percentiles
    inter_token: Percentiles
    send_lag_p99: float
    client_cpu: float
    targets: tuple[TargetResult, ...]
    verdict: Verdict
    invalid: tuple[str, ...]
    rows: str
    measured_at: datetime


class Outcome(StrEnum):
    """What a release decided about one checkpoint."""

    PROMOTED = "promoted"
    REJECTED = "rejected"
    HELD = "held"


class Decision(Document):
    """A release: the outcome, why, and who asked for it.

    `promoted_at` is the moment (ISO 8601) when the endpoint was given to it: the same again in a
    release that finds it there, as after a crash or beside another run.
    """

    key: str
    outcome: Outcome
    reasons: tuple[str, ...]
    fix: str | None = None
    previous: str | None = None
    promoted_at: str | None = None
    requested_by: str
