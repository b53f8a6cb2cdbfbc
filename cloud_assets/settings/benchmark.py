"""The `benchmark:` section: the load a checkpoint must stand, and the figures it must reach."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cloud_assets.settings.section import Seconds, Section


class Target(Section):
    """A bound on one measured figure; seconds, requests or tokens a second, or a share."""

    metric: Literal[
        "latency_p50",
        "latency_p95",
        "latency_p99",
        "ttft_p50",
        "ttft_p95",
        "ttft_p99",
        "throughput",
        "output_tokens_per_second",
        "goodput",
        "attainment",
        "failure_share",
    ] = Field(description="the figure, over the steady window")
    at_most: float | None = Field(default=None, description="the bound from above")
    at_least: float | None = Field(default=None, description="the bound from below")

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError(f"the target on {self.metric} needs either at_most or at_least")
        return self


class Objective(Section):
    """What makes one request good: the bounds that goodput and attainment count by, in seconds."""

    latency: Seconds | None = Field(
        default=1.0, description="from the intended send time to the last token"
    )
    ttft: Seconds | None = Field(
        default=None, description="from the intended send time to the first token"
    )


class Profile(Section):
    """A workload for a load test, with its targets. Arrivals are open-loop and seeded."""

    name: str = Field(default="smoke", description="the profile's name in reports and metrics")
    rate: Annotated[float, Field(gt=0, le=10_000)] = Field(
        default=20, description="requests a second"
    )
    burstiness: Annotated[float, Field(gt=0, le=100)] = Field(
        default=1.0, description="shape of the gamma arrivals; 1 is Poisson"
    )
    warmup_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=1, description="load before the steady window, not counted"
    )
    steady_seconds: Seconds = Field(default=5, description="the window that is counted")
    cooldown_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=0.5, description="load after the steady window, not counted"
    )
    output_tokens: Annotated[int, Field(ge=1, le=32_768)] = Field(
        default=8, description="the longest answer to one request, in tokens"
    )
    stream: bool = Field(default=True, description="ask for a stream; without one there is no TTFT")
    timeout_seconds: Seconds = Field(
        default=30, description="a request without its answer by then has failed"
    )
    seed: int = Field(default=1, description="of the schedule and the choice of prompts")
    prompts: Path | None = Field(
        default=None, description="JSON lines with `prompt` or `messages`; the suite's if unset"
    )
    prefix_cache: bool = Field(
        default=False,
        description="let `vllm` answer prompts that come again from its prefix cache; a few "
        "prompts then look lighter than as many different ones",
    )
    objective: Objective = Objective()
    targets: tuple[Target, ...] = (
        Target(metric="latency_p95", at_most=1.0),
        Target(metric="failure_share", at_most=0.0),
    )
