"""The `failed_runs` sensor: every checkpoint whose run failed gets its reason, as a release.

A checkpoint at fault is rejected; one that met a system out of order is held, and `drift` asks for
it again. A run that Dagster itself will retry is not judged yet.
"""

import time
from collections.abc import Iterable

import dagster as dg

from cloud_assets import keys
from cloud_assets.documents import Outcome

WILL_RETRY_TAG = "dagster/will_retry"
#: How long the tag may come after the event of the failure; both are written by one process.
TAG_SECONDS = 3.0
REASON_LENGTH = 1000
TRIED_AGAIN = "it is tried again by itself"


def explain(events: Iterable[dg.DagsterEvent]) -> tuple[Outcome, str, str]:
    """Outcome, reason and fix of a failed run, from its events in order.

    A failed blocking check is the checkpoint's own, a `dg.Failure` says whose it is; anything else
    held the checkpoint up.
    """
    for event in events:
        if event.event_type_value == "ASSET_CHECK_EVALUATION":
            evaluation = event.asset_check_evaluation_data
            if not evaluation.passed and evaluation.blocking:
                reason = evaluation.description or f"the check {evaluation.check_name} failed"
                fix = evaluation.metadata.get("fix")
                return Outcome.REJECTED, reason, str(fix.value) if fix else ""
        if event.is_step_failure:
            return _explain_step(event)
    return Outcome.HELD, "the run's process ended before its work was done", TRIED_AGAIN


def _explain_step(event: dg.DagsterEvent) -> tuple[Outcome, str, str]:
    failure = event.step_failure_data
    stage = event.step_key or "the run"
    if failure.user_failure_data is not None:
        said = {name: str(it.value) for name, it in failure.user_failure_data.metadata.items()}
        reason = failure.user_failure_data.description or "it failed"
        outcome = Outcome(said.get("outcome", Outcome.REJECTED.value))
        return outcome, f"{stage}: {reason}", said.get("fix", "")
    error = failure.error
    while error is not None and error.cause is not None:
        error = error.cause
    if error is not None and error.cls_name == "DagsterExecutionInterruptedError":
        return Outcome.HELD, f"{stage}: the run's process was told to end", TRIED_AGAIN
    words = error.message.strip().splitlines()[0] if error and error.message else "it failed"
    return Outcome.HELD, f"{stage}: {words}"[:REASON_LENGTH], TRIED_AGAIN


def is_whole(run: dg.DagsterRun) -> bool:
    """Whether the run was to take a checkpoint through all stages.

    Who measures, promotes or rolls back by hand waits for that run and reads its reason there; the
    checkpoint's own outcome stays as it was.
    """
    return run.asset_selection is None and keys.BENCH_TAG not in run.tags


def _is_retried(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether Dagster starts the run again by itself.

    It says so in a tag that it writes after the failure's event, which is what a tick comes for.
    """
    patience = TAG_SECONDS if instance.run_retries_enabled else 0.0
    end = time.monotonic() + patience
    while True:
        run = instance.get_run_by_id(run_id)
        said = run.tags.get(WILL_RETRY_TAG) if run else None
        if said is not None or time.monotonic() >= end:
            return said == "true"
        time.sleep(0.05)


def build_sensor(job: keys.AssetJob, converge: keys.AssetJob) -> dg.SensorDefinition:
    """The sensor over failed runs of `job`; it asks for `converge` to clean up after them."""

    @dg.run_failure_sensor(
        name="failed_runs",
        monitored_jobs=[job],
        request_job=converge,
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Writes down why a checkpoint's run failed.",
    )
    def failed_runs(context: dg.RunFailureSensorContext) -> dg.RunRequest | dg.SkipReason:
        run = context.dagster_run
        key = run.tags.get(keys.PARTITION_TAG)
        if key is None or _is_retried(context.instance, run.run_id):
            return dg.SkipReason("Dagster retries the run itself")
        records = context.instance.all_logs(run.run_id)
        events = [record.dagster_event for record in records if record.dagster_event is not None]
        if is_whole(run):
            _record(context.instance, run, *explain(events))
        return dg.RunRequest(run_key=f"after:{run.run_id}")

    return failed_runs


def _record(
    instance: dg.DagsterInstance, run: dg.DagsterRun, outcome: Outcome, reason: str, fix: str
) -> None:
    key = run.tags[keys.PARTITION_TAG]
    instance.add_run_tags(run.run_id, {keys.OUTCOME_TAG: outcome.value})
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            asset_key=keys.RELEASE,
            partition=key,
            metadata={
                "outcome": outcome.value,
                "reasons": [reason],
                "fix": fix,
                "requested_by": "the failed_runs sensor",
                "run": run.run_id,
            },
        )
    )
