"""From a dropped checkpoint to an answered prompt, and what people ask for afterwards."""

import json
from itertools import count, pairwise

import pytest

from cloud_assets.stages import STAGES
from tests.doubles.embedded_platform import MODEL, EmbeddedPlatform

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

KEYS = [f"{MODEL}.first.{step}" for step in (1, 2, 3)]
_BACKFILL = """
mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""


@pytest.fixture(scope="module")
def released(platform: EmbeddedPlatform) -> EmbeddedPlatform:
    """Three checkpoints written at once, all of them through."""
    seeds = count(1)
    for step in (1, 2, 3):
        platform.drop("first", step, seed=next(seeds))
    platform.until_settled(KEYS)
    return platform


def test_a_dropped_checkpoint_goes_through_all_stages_in_one_run(
    released: EmbeddedPlatform,
) -> None:
    [run] = released.runs(KEYS[0])
    ended = {step.name for step in run.steps if step.status == "SUCCESS"}
    assert run.status == "SUCCESS"
    assert ended >= set(STAGES)


def test_no_two_checkpoints_are_measured_at_the_same_time(released: EmbeddedPlatform) -> None:
    runs = [run for key in KEYS for run in released.runs(key)]
    spans = sorted((run.started or 0, run.ended or 0) for run in runs)
    assert all(sooner[1] <= later[0] for sooner, later in pairwise(spans))


def test_the_checkpoint_that_was_written_last_serves(released: EmbeddedPlatform) -> None:
    assert released.champion() == KEYS[-1]
    assert (released.served() or ("", ""))[0] == KEYS[-1]
    assert released.answers()


def test_only_the_champion_and_the_kept_warm_one_are_left_up(released: EmbeddedPlatform) -> None:
    assert released.slots() == KEYS[1:]


def test_bench_measures_old_checkpoints_and_leaves_nothing_running(
    released: EmbeddedPlatform,
) -> None:
    ended = released.ai_how("bench", *KEYS[:2], "--json")
    assert ended.returncode == 0, ended.stderr
    assert [row["verdict"] for row in json.loads(ended.stdout)] == ["pass", "pass"]
    assert released.slots() == KEYS[1:]


def test_a_backfill_from_the_ui_measures_one_checkpoint_at_a_time(
    released: EmbeddedPlatform,
) -> None:
    before = {event.run_id for event in released.graph.events("benchmark_report")}
    parameters = {"assetSelection": [{"path": ["benchmark_report"]}], "partitionNames": KEYS}
    answer = released.graph._ask(_BACKFILL, {"params": parameters})["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer

    def written() -> set[str] | None:
        new = [e for e in released.graph.events("benchmark_report") if e.run_id not in before]
        return {e.run_id for e in new} if {e.partition for e in new} == set(KEYS) else None

    new = released.until(written)
    released.until(lambda: not released.active_runs(KEYS) or None)
    spans = sorted((r.started or 0, r.ended or 0) for r in map(released.graph.run, new) if r)
    assert all(sooner[1] <= later[0] for sooner, later in pairwise(spans))
    released.until(lambda: released.slots() == KEYS[1:])


def test_rollback_brings_the_previous_champion_back_and_says_who_asked(
    released: EmbeddedPlatform,
) -> None:
    ended = released.ai_how("rollback", MODEL, "--reason", "answers in riddles")
    assert ended.returncode == 0, ended.stderr
    assert "answers in riddles" in ended.stdout
    assert released.champion() == KEYS[1]
    assert (released.served() or ("", ""))[0] == KEYS[1]
    assert released.answers()


def test_promote_puts_an_old_checkpoint_behind_the_endpoint(released: EmbeddedPlatform) -> None:
    ended = released.ai_how("promote", KEYS[0], "--reason", "it was the best")
    assert ended.returncode == 0, ended.stderr
    assert released.champion() == KEYS[0]
    assert (released.served() or ("", ""))[0] == KEYS[0]
    assert released.answers()
    released.until(lambda: len(released.slots()) == 2 and KEYS[0] in released.slots())
