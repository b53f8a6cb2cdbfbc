"""Why a run failed: whose fault it was, in which words, and what is written down for it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError

from cloud_assets import definitions, keys, lineage
from cloud_assets.documents import Outcome
from resources.errors import NeedsRepair, PermanentError, TransientError
from sensors import failures
from sensors.failures import explain

REPOSITORY = Path(__file__).parents[2]
KEY = "qa.run.100"


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "RETRIES", 2)
    monkeypatch.setattr(lineage, "RETRY_SECONDS", 0.01)


@dg.asset(check_specs=[dg.AssetCheckSpec("complete", asset="stage", blocking=True)])
def stage(behaviour: dg.ResourceParam[str]) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Fails in the way that its resource names."""
    if behaviour == "wordless check":
        return dg.MaterializeResult(check_results=[_verdict("", {})])
    if behaviour == "refused":
        return dg.MaterializeResult(check_results=[_verdict("a pickle", {"fix": "save again"})])
    with lineage.outcomes():
        if behaviour == "permanent":
            raise PermanentError("the engine", "load it", "odd shape", hint="merge the adapter")
        if behaviour == "transient":
            raise TransientError("MLflow", "register it", "connection refused", hint="start it")
        if behaviour == "unfit system":
            raise NeedsRepair("the store", "write it", "the disk is full", hint="free space")
    if behaviour == "interrupted":
        raise DagsterExecutionInterruptedError
    if behaviour == "defect":
        raise ZeroDivisionError("one part of none\nand more words")
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])


def _verdict(words: str, metadata: dict[str, str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, description=words or None, metadata=metadata)


@dg.asset(deps=[stage], check_specs=[dg.AssetCheckSpec("gate", asset="after")])
def after() -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Comes next; its own check does not block."""
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=False)])


def failed(instance: dg.DagsterInstance, behaviour: str) -> tuple[Outcome, str, str]:
    result = dg.materialize(
        [stage, after],
        instance=instance,
        resources={"behaviour": behaviour},
        raise_on_error=False,
    )
    assert not result.success
    return explained(instance, result.run_id)


def explained(instance: dg.DagsterInstance, run_id: str) -> tuple[Outcome, str, str]:
    records = instance.all_logs(run_id)
    return explain(record.dagster_event for record in records if record.dagster_event is not None)


def test_a_failed_blocking_check_rejects_with_its_words(instance: dg.DagsterInstance) -> None:
    assert failed(instance, "refused") == (Outcome.REJECTED, "a pickle", "save again")


def test_a_check_without_words_is_named(instance: dg.DagsterInstance) -> None:
    reason = "the check complete failed"
    assert failed(instance, "wordless check") == (Outcome.REJECTED, reason, "")


def test_what_is_for_good_rejects_with_stage_and_fix(instance: dg.DagsterInstance) -> None:
    reason = "stage: the engine could not load it: odd shape"
    assert failed(instance, "permanent") == (Outcome.REJECTED, reason, "merge the adapter")


def test_an_unfit_system_holds_with_its_fix(instance: dg.DagsterInstance) -> None:
    reason = "stage: the store could not write it: the disk is full"
    assert failed(instance, "unfit system") == (Outcome.HELD, reason, "free space")


def test_a_process_that_was_told_to_end_holds(instance: dg.DagsterInstance) -> None:
    outcome, reason, fix = failed(instance, "interrupted")
    assert (outcome, reason) == (Outcome.HELD, "stage: the run's process was told to end")
    assert fix == "it is tried again by itself"


def test_what_may_pass_holds_once_its_tries_are_used_up(instance: dg.DagsterInstance) -> None:
    outcome, reason, fix = failed(instance, "transient")
    assert (outcome, fix) == (Outcome.HELD, "it is tried again by itself")
    assert "MLflow could not register it: connection refused" in reason


def test_it_was_tried_so_often(instance: dg.DagsterInstance) -> None:
    result = dg.materialize(
        [stage], instance=instance, resources={"behaviour": "transient"}, raise_on_error=False
    )
    kinds = [event.event_type_value for event in result.all_events]
    assert kinds.count("STEP_UP_FOR_RETRY") == 2


def test_a_defect_of_ours_holds_and_is_named_in_one_line(instance: dg.DagsterInstance) -> None:
    outcome, reason, _ = failed(instance, "defect")
    assert outcome is Outcome.HELD
    assert reason.startswith("stage: ")
    assert reason.endswith("ZeroDivisionError: one part of none")


def test_a_process_that_was_killed_holds(tmp_path: Path) -> None:
    """Killed for real in the middle of a step; what Dagster then knows is in its database."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
        timeout=100,
    )
    assert ended.returncode == -signal.SIGKILL
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        [run] = instance.get_runs()
        outcome, reason, _ = explained(instance, run.run_id)
    assert (outcome, reason) == (Outcome.HELD, "the run's process ended before its work was done")


KILLED = """
import os, signal, sys
import dagster as dg

@dg.asset
def stage():
    os.kill(os.getpid(), signal.SIGKILL)

with dg.DagsterInstance.local_temp(sys.argv[1]) as instance:
    dg.materialize([stage], instance=instance)
"""


def make_failed_run(
    instance: dg.DagsterInstance, *, assets: tuple[str, ...] = (), **tags: str
) -> dg.DagsterRun:
    run = instance.create_run_for_job(
        definitions.defs.resolve_job_def(keys.RELEASE_JOB),
        tags={keys.PARTITION_TAG: KEY, **{name.replace("__", "/"): v for name, v in tags.items()}},
        asset_selection=frozenset(map(dg.AssetKey, assets)) or None,
    )
    instance.report_run_failed(run, "the run's process 7 is gone")
    return instance.get_run_by_id(run.run_id) or run


def told(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.RunRequest | dg.SkipReason:
    sensor = failures.build_sensor(definitions.release_job, definitions.endpoint_job)
    events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    event = events[-1].dagster_event
    assert event is not None
    context = dg.build_run_status_sensor_context(
        sensor_name="failed_runs", dagster_instance=instance, dagster_run=run, dagster_event=event
    )
    answer = sensor(context.for_run_failure())
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


def releases(instance: dg.DagsterInstance) -> list[dg.AssetMaterialization]:
    filter_ = dg.AssetRecordsFilter(asset_key=dg.AssetKey(keys.RELEASE))
    records = instance.fetch_materializations(filter_, limit=10).records
    return [each.asset_materialization for each in records if each.asset_materialization]


def test_the_reason_is_written_down_as_a_release(instance: dg.DagsterInstance) -> None:
    run = make_failed_run(instance)
    told(instance, run)
    [release] = releases(instance)
    assert release.partition == KEY
    assert release.metadata["outcome"].value == "held"
    assert release.metadata["reasons"].value == ["the run's process ended before its work was done"]
    assert release.metadata["run"].value == run.run_id


def test_the_run_is_marked_with_the_outcome(instance: dg.DagsterInstance) -> None:
    run = make_failed_run(instance)
    told(instance, run)
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.tags[keys.OUTCOME_TAG] == "held"


def test_what_it_left_behind_is_cleaned_up_once(instance: dg.DagsterInstance) -> None:
    run = make_failed_run(instance)
    answers = [told(instance, run) for _ in range(2)]
    assert {answer.run_key for answer in answers if isinstance(answer, dg.RunRequest)} == {
        f"after:{run.run_id}"
    }


def test_a_run_that_dagster_retries_is_not_judged_yet(instance: dg.DagsterInstance) -> None:
    run = make_failed_run(instance, dagster__will_retry="true")
    assert isinstance(told(instance, run), dg.SkipReason)
    assert releases(instance) == []


@pytest.mark.parametrize("asset", ["benchmark_report", "release"])
def test_a_part_that_somebody_asked_for_does_not_change_the_outcome(
    instance: dg.DagsterInstance, asset: str
) -> None:
    run = make_failed_run(instance, assets=(asset,))
    assert isinstance(told(instance, run), dg.RunRequest)
    assert releases(instance) == []


def test_a_run_of_no_checkpoint_is_nobodys(instance: dg.DagsterInstance) -> None:
    job = definitions.defs.resolve_job_def(keys.RELEASE_JOB)
    run = instance.create_run_for_job(job)
    instance.report_run_failed(run, "gone")
    assert isinstance(told(instance, run), dg.SkipReason)
