"""Schedules: seeded, open-loop, with the rate that was asked for."""

import statistics
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from cloud_assets.benchmarks.schedule import Phase, make_plan, make_schedule
from cloud_assets.settings import Profile
from resources.errors import UsageError

PROFILE = Profile(rate=50, warmup_seconds=2, steady_seconds=20, cooldown_seconds=1, seed=7)


def _gaps(burstiness: float, seed: int = 7) -> list[float]:
    profile = PROFILE.model_copy(
        update={"burstiness": burstiness, "seed": seed, "steady_seconds": 100.0}
    )
    steady = [r.offset for r in make_schedule(profile, 3) if r.phase == Phase.STEADY]
    return [later - sooner for sooner, later in pairwise(steady)]


def _variation(gaps: list[float]) -> float:
    return statistics.stdev(gaps) / statistics.mean(gaps)


def test_each_phase_holds_exactly_its_share_of_the_rate() -> None:
    counts = Counter(request.phase for request in make_schedule(PROFILE, 3))
    assert counts == {Phase.WARMUP: 100, Phase.STEADY: 1000, Phase.COOLDOWN: 50}


@pytest.mark.parametrize("burstiness", [0.001, 0.3, 1.0, 100.0])
@pytest.mark.parametrize("seed", range(5))
def test_offsets_ascend_and_stay_within_their_phase(burstiness: float, seed: int) -> None:
    profile = PROFILE.model_copy(update={"burstiness": burstiness, "seed": seed})
    schedule = make_schedule(profile, 3)
    assert [r.offset for r in schedule] == sorted(r.offset for r in schedule)
    bounds = {Phase.WARMUP: (0, 2), Phase.STEADY: (2, 22), Phase.COOLDOWN: (22, 23)}
    assert all(bounds[Phase(r.phase)][0] <= r.offset <= bounds[Phase(r.phase)][1] for r in schedule)


def test_shape_one_has_the_variation_of_a_poisson_process() -> None:
    assert _variation(_gaps(1.0)) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize(("burstiness", "variation"), [(0.25, 2.0), (4.0, 0.5), (100.0, 0.1)])
def test_burstiness_sets_the_variation_of_the_gaps(burstiness: float, variation: float) -> None:
    # A gamma distribution of shape k has the coefficient of variation 1/sqrt(k).
    assert _variation(_gaps(burstiness)) == pytest.approx(variation, rel=0.1)


def test_vanishing_shapes_still_make_a_schedule() -> None:
    profile = PROFILE.model_copy(update={"burstiness": 1e-9, "steady_seconds": 0.1})
    assert len(make_schedule(profile, 1)) == 100 + 5 + 50


def test_the_same_seed_gives_the_same_schedule_in_another_process() -> None:
    code = (
        "from cloud_assets.settings import Profile\n"
        "from cloud_assets.benchmarks.schedule import make_schedule\n"
        "print([(r.offset, r.phase, r.prompt) for r in make_schedule(Profile(seed=5), 4)])"
    )
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    here = [(r.offset, r.phase, r.prompt) for r in make_schedule(Profile(seed=5), 4)]
    assert there.strip() == str([(offset, str(phase), prompt) for offset, phase, prompt in here])


def test_a_known_seed_keeps_its_schedule() -> None:
    """Old and new reports of one profile are comparable only while this holds."""
    found = make_schedule(Profile(rate=2, warmup_seconds=0, steady_seconds=2, seed=1), 3)
    assert [(round(r.offset, 6), r.prompt) for r in found] == [
        (0.506126, 1),
        (0.724163, 2),
        (1.083717, 0),
        (1.629966, 1),
        (2.467166, 2),
    ]


def test_another_seed_gives_another_schedule() -> None:
    other = PROFILE.model_copy(update={"seed": 8})
    assert make_schedule(PROFILE, 3) != make_schedule(other, 3)


def test_the_number_of_prompts_does_not_move_the_arrivals() -> None:
    few, many = make_schedule(PROFILE, 1), make_schedule(PROFILE, 100)
    assert [r.offset for r in few] == [r.offset for r in many]


def test_prompts_come_equally_often_and_out_of_order() -> None:
    prompts = [request.prompt for request in make_schedule(PROFILE, 10)]
    assert set(Counter(prompts).values()) == {115}
    assert prompts[:10] != sorted(prompts[:10])


def test_no_prompts_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no prompts"):
        make_schedule(PROFILE, 0)


def test_a_rate_too_low_for_the_window_leaves_it_empty() -> None:
    assert make_schedule(Profile(rate=0.01), 1) == ()


def test_a_plan_carries_only_what_the_api_knows_of_a_prompt() -> None:
    prompts: list[dict[str, Any]] = [
        {"prompt": "2+2=", "expected": "4"},
        {"messages": [{"role": "user", "content": "hi"}], "id": 3},
    ]
    plan = make_plan(PROFILE, prompts=prompts, url="http://127.0.0.1:1", model="m")
    assert plan.prompts == (
        {"prompt": "2+2="},
        {"messages": [{"role": "user", "content": "hi"}]},
    )


def test_a_plan_takes_its_limits_from_the_profile() -> None:
    profile = Profile(output_tokens=3, stream=False, timeout_seconds=4)
    plan = make_plan(profile, prompts=[{"prompt": "x"}], url="http://127.0.0.1:1", model="m")
    assert (plan.max_tokens, plan.stream, plan.timeout_seconds) == (3, False, 4)


@pytest.mark.parametrize("prefix_cache", [True, False])
def test_a_plan_lets_prompts_come_again_only_where_the_profile_says_so(prefix_cache: bool) -> None:
    profile = Profile(prefix_cache=prefix_cache)
    plan = make_plan(profile, prompts=[{"prompt": "x"}], url="http://127.0.0.1:1", model="m")
    assert plan.fresh is not prefix_cache


def test_a_prompt_without_text_is_named() -> None:
    with pytest.raises(UsageError, match="prompt 2 "):
        make_plan(PROFILE, prompts=[{"prompt": "x"}, {"expected": "4"}], url="u", model="m")
