"""When each request of a load test is sent, and which prompt it carries. Seeded, open-loop.

Sending is the business of `resources.load.run`, judging the outcome of `statistics`.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import accumulate, pairwise
from typing import Any

from cloud_assets.settings import Profile
from resources.errors import UsageError
from resources.load.run import LoadPlan, PlannedRequest


class Phase(StrEnum):
    """Only what was meant to be sent in the steady phase is judged."""

    WARMUP = "warmup"
    STEADY = "steady"
    COOLDOWN = "cooldown"


def make_schedule(profile: Profile, prompts: int) -> tuple[PlannedRequest, ...]:
    """Intended send times in seconds after the start, in ascending order, for `prompts` prompts.

    Each phase of length T holds exactly n = round(rate * T) arrivals, cut out of the phase by
    n + 1 gamma-distributed gaps of shape `burstiness`, rescaled to fill T. With shape 1 this is a
    Poisson process given its count (the order statistics of n uniform times: Ross, Introduction to
    Probability Models, section 5.3.5), so the offered rate is exact, no short phase is empty by
    chance, and the local bunching that makes queues stays. Shapes below 1 bunch more, above less
    (`vllm bench serve --burstiness` has the same meaning).

    Prompts are dealt from a shuffled deck, reshuffled when it runs out: each comes equally often.
    The same profile and count give the same schedule on every machine. Raises UsageError when there
    is no prompt.
    """
    if prompts < 1:
        raise UsageError(
            "the load test has no prompts", hint="name a file of prompts in `benchmark.prompts`"
        )
    # Separate streams: another number of prompts must not move the arrivals.
    arrivals = random.Random(f"arrivals {profile.seed}")
    deck = _deal(random.Random(f"prompts {profile.seed}"), prompts)
    edges = [0.0, *accumulate(phase_seconds(profile).values())]
    return tuple(
        PlannedRequest(start + offset, phase.value, next(deck))
        for phase, (start, end) in zip(Phase, pairwise(edges), strict=True)
        for offset in _arrivals(arrivals, profile, end - start)
    )


def make_plan(
    profile: Profile, *, prompts: Sequence[Mapping[str, Any]], url: str, model: str
) -> LoadPlan:
    """The whole load test of `profile` against `model` at `url` (without `/v1`).

    A prompt holds `prompt` or `messages`; its other fields (an evaluation suite's expected answer)
    are left out. Raises UsageError for a prompt with neither.
    """
    return LoadPlan(
        url=url,
        model=model,
        prompts=tuple(_body_part(number, prompt) for number, prompt in enumerate(prompts, 1)),
        requests=make_schedule(profile, len(prompts)),
        max_tokens=profile.output_tokens,
        stream=profile.stream,
        timeout_seconds=profile.timeout_seconds,
        fresh=not profile.prefix_cache,
    )


def phase_seconds(profile: Profile) -> dict[Phase, float]:
    """The length of each phase, in their order."""
    return {
        Phase.WARMUP: profile.warmup_seconds,
        Phase.STEADY: profile.steady_seconds,
        Phase.COOLDOWN: profile.cooldown_seconds,
    }


def _arrivals(source: random.Random, profile: Profile, seconds: float) -> list[float]:
    count = round(profile.rate * seconds)
    gaps = [source.gammavariate(profile.burstiness, 1.0) for _ in range(count + 1)]
    total = sum(gaps)
    if total == 0.0:
        # Extremely bursty shapes underflow to zero gaps: everything arrives at once.
        return [0.0] * count
    return [min(seconds, seconds * reached / total) for reached in accumulate(gaps[:-1])]


def _deal(source: random.Random, cards: int) -> Iterator[int]:
    while True:
        yield from source.sample(range(cards), cards)


def _body_part(number: int, prompt: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in ("messages", "prompt"):
        if prompt.get(name):
            return {name: prompt[name]}
    raise UsageError(
        f"prompt {number} of the load test has neither `prompt` nor `messages`",
        hint="each line of the file is a JSON object with one of the two",
    )
