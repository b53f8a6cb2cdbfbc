"""`kill -9` of each process at each stage: the outcome is the one that would have been.

Every kill has a checkpoint of its own on one platform, so that each is also the proof that the kill
before it left no pool slot taken. By default each victim meets one or two stages; with
AI_HOW_FULL_MATRIX=1 every victim meets every stage.
"""

import os
from collections.abc import Callable

import psutil
import pytest

from cloud_assets.stages import (
    BENCHMARK_REPORT,
    INFERENCE_SERVICE,
    QUALITY_REPORT,
    REGISTERED_MODEL,
    RELEASE,
)
from tests.doubles.embedded_platform import MODEL, EmbeddedPlatform

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

WORKER_TAG = "ai-how/worker"
START = "start"
STAGES = (START, REGISTERED_MODEL, INFERENCE_SERVICE, QUALITY_REPORT, BENCHMARK_REPORT, RELEASE)
SAMPLED = (
    ("worker", START),
    ("worker", BENCHMARK_REPORT),
    ("daemon", INFERENCE_SERVICE),
    ("code", QUALITY_REPORT),
    ("slot", BENCHMARK_REPORT),
    ("gateway", RELEASE),
    ("mlflow", REGISTERED_MODEL),
    ("supervisord", BENCHMARK_REPORT),
)
VICTIMS = tuple(dict.fromkeys(victim for victim, _ in SAMPLED))


def chosen() -> list[tuple[str, str]]:
    if os.environ.get("AI_HOW_FULL_MATRIX") != "1":
        return list(SAMPLED)
    early = (START, REGISTERED_MODEL, INFERENCE_SERVICE)
    return [(v, s) for v in VICTIMS for s in STAGES if v != "slot" or s not in early]


def kill(platform: EmbeddedPlatform, victim: str, key: str) -> None:
    """End the victim without a warning; one that is gone already has nothing to lose."""
    process = psutil.Process(_pid(platform, victim, key))
    process.kill()
    platform.until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


def _pid(platform: EmbeddedPlatform, victim: str, key: str) -> int:
    if victim == "supervisord":
        return int(platform.supervisor.files.pid.read_text())
    if victim == "worker":
        name = platform.until(lambda: platform.runs(key)[0].tags.get(WORKER_TAG))
        return int(name.partition(":")[0])
    return platform.pid(f"slot-{key}-" if victim == "slot" else victim)


def reached(platform: EmbeddedPlatform, key: str, stage: str) -> Callable[[], object]:
    def begun() -> object:
        runs = platform.runs(key)
        return [run for run in runs if run.started or run.status == "STARTING"]

    def passed() -> object:
        steps = [step for run in platform.runs(key) for step in run.steps if step.name == stage]
        return [step for step in steps if step.started]

    return begun if stage == START else passed


@pytest.mark.parametrize(("victim", "stage"), chosen())
def test_after_a_kill_the_outcome_is_the_one_that_would_have_been(
    platform: EmbeddedPlatform, victim: str, stage: str
) -> None:
    number = chosen().index((victim, stage)) + 1
    key = platform.drop(f"{victim}-{stage.replace('_', '-')}", seed=number)
    platform.until(reached(platform, key, stage))
    kill(platform, victim, key)
    platform.up()
    platform.until_settled([key])
    platform.until(lambda: (platform.champion(), (platform.served() or ("",))[0]) == (key, key))
    platform.until(platform.answers)
    assert len(platform.versions(key)) == 1
    assert len(platform.promotions(key)) == 1
    platform.until(lambda: len(platform.slots()) <= 2 and not orphans(platform))


def orphans(platform: EmbeddedPlatform) -> list[psutil.Process]:
    """What is of this home and does not descend from its supervisord."""
    daemon = psutil.Process(int(platform.supervisor.files.pid.read_text()))
    family = {daemon.pid, *(child.pid for child in daemon.children(recursive=True))}
    return [process for process in platform.processes() if process.pid not in family]


def test_no_run_is_left_open_and_no_checkpoint_ran_more_often_than_it_was_killed(
    platform: EmbeddedPlatform,
) -> None:
    # The drift sensor may just be looking after the last kill.
    platform.until(lambda: all(run.finished for run in platform.graph.runs(limit=500)))
    for victim, stage in chosen():
        key = f"{MODEL}.{victim}-{stage.replace('_', '-')}.1"
        assert 1 <= len(platform.runs(key)) <= 2, key
