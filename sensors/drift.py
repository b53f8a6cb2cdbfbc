"""The `drift` sensor: what serves is held against what should; held checkpoints are retried.

It only notices; the run that it asks for puts things right and is on record.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from cloud_assets import keys
from cloud_assets.documents import Outcome
from cloud_assets.serving.assets import busy_keys
from cloud_assets.serving.world import at_rest
from cloud_assets.settings import Settings
from resources.mlflow import Registry, Version
from resources.serving import Route, ServingBackend, Slot, SlotState
from sensors.failures import is_whole

#: A held checkpoint is tried again after this, doubled with each try.
FIRST_RETRY_SECONDS = 20
LONGEST_RETRY_SECONDS = 15 * 60
MOST_RETRIES = 8
#: By then `failed_runs` has judged a failed run, or Dagster has started it again.
FORGOTTEN_SECONDS = 60
FORGOTTEN_SEARCHED = 50
#: How long a convergence that failed is left alone.
PAUSE_AFTER_FAILURE = timedelta(seconds=30)
ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


@dataclass(frozen=True)
class Difference:
    """What is not as it should be, in a sentence; `repairs` where a convergence puts it right."""

    sentence: str
    repairs: bool = True


def differences(
    models: Sequence[str], registry: Registry, serving: ServingBackend
) -> tuple[Difference, ...]:
    """At most one for each model."""
    routes, slots = serving.routes(), serving.slots()
    champions = ((model, registry.alias(model, keys.CHAMPION)) for model in models)
    found = (_of(each, routes.get(model), slots) for model, each in champions if each is not None)
    return tuple(each for each in found if each is not None)


def _of(champion: Version, route: Route | None, slots: Sequence[Slot]) -> Difference | None:
    model = champion.model
    if route is None or route.digest != champion.digest:
        behind = route.key if route else "nothing that the platform put there"
        return Difference(f"{model}: behind the endpoint is {behind}, not the champion")
    own = [slot for slot in slots if slot.digest == champion.digest]
    # One that is not up has no address as yet.
    coming = (each for each in own if not each.url and each.key == champion.key)
    slot = next((each for each in own if each.url == route.url), next(coming, None))
    if slot is None:
        return Difference(f"{model}: the champion's model server is gone")
    if slot.altered:
        return Difference(f"{model}: somebody changed the champion's model server: {slot.altered}")
    if slot.state is SlotState.FAILED:
        return Difference(f"{model}: the champion's model server failed: {slot.reason}")
    if slot.state is SlotState.STARTING:
        # Where it has no address somebody must see to that; else it is being started again.
        reason = f"{model}: the champion's model server is not up: {slot.reason}"
        return Difference(reason, repairs=not slot.url)
    return None


def build_sensor(job: keys.AssetJob, converge: keys.AssetJob) -> dg.SensorDefinition:
    """The sensor that asks for `converge` on drift and for `job` where a checkpoint is held up."""

    @dg.sensor(
        name="drift",
        jobs=[job, converge],
        minimum_interval_seconds=4,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Repairs endpoints whose champion is not served, and retries what was held up.",
    )
    def drift(
        context: dg.SensorEvaluationContext,
        settings: dg.ResourceParam[Settings],
        registry: dg.ResourceParam[Registry],
        serving: dg.ResourceParam[ServingBackend],
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        replaces = settings.serving.strategy == "replace"
        models = at_rest(settings, busy_keys(context.instance) if replaces else ())
        found = differences(models, registry, serving)
        said = "; ".join(each.sentence for each in found)
        requests = [*retries(context.instance), *forgotten(context.instance)]
        if any(each.repairs for each in found) and may_converge(
            context.instance, keys.ENDPOINT_JOB
        ):
            requests.append(dg.RunRequest(job_name=keys.ENDPOINT_JOB, tags={"ai-how/drift": said}))
        if not requests:
            yield dg.SkipReason(said or "everything is as it should be")
        yield from requests

    return drift


def retries(instance: dg.DagsterInstance) -> Iterator[dg.RunRequest]:
    """A run for each held checkpoint whose pause is over."""
    now = datetime.now(UTC)
    failed = instance.get_run_records(
        dg.RunsFilter(
            job_name=keys.RELEASE_JOB,
            statuses=[dg.DagsterRunStatus.FAILURE],
            tags={keys.OUTCOME_TAG: Outcome.HELD.value},
            updated_after=now - timedelta(days=1),
        ),
        limit=100,
    )
    for record in failed:
        run = record.dagster_run
        tries = int(run.tags.get(keys.TRY_TAG, "0")) + 1
        pause = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** (tries - 1))
        over = record.update_timestamp.astimezone(UTC) + timedelta(seconds=pause) < now
        if tries <= MOST_RETRIES and over and _is_newest(instance, run):
            yield _again(run, tries)


def forgotten(instance: dg.DagsterInstance) -> Iterator[dg.RunRequest]:
    """A run for each checkpoint whose last one failed without anything having come of that.

    Dagster may promise a retry and lose it, as when its daemon or the code server ends in between.
    """
    now = datetime.now(UTC)
    failed = instance.get_run_records(
        dg.RunsFilter(
            job_name=keys.RELEASE_JOB,
            statuses=[dg.DagsterRunStatus.FAILURE],
            updated_after=now - timedelta(days=1),
        ),
        limit=FORGOTTEN_SEARCHED,
    )
    for record in failed:
        run = record.dagster_run
        tries = int(run.tags.get(keys.TRY_TAG, "0")) + 1
        age = now - record.update_timestamp.astimezone(UTC)
        if (
            age > timedelta(seconds=FORGOTTEN_SECONDS)
            and is_whole(run)
            and {keys.PARTITION_TAG, keys.OUTCOME_TAG} & run.tags.keys() == {keys.PARTITION_TAG}
            and tries <= MOST_RETRIES
            and _is_newest(instance, run)
        ):
            yield _again(run, tries)


def _again(run: dg.DagsterRun, tries: int) -> dg.RunRequest:
    key, fingerprint = run.tags[keys.PARTITION_TAG], run.tags.get(keys.FINGERPRINT_TAG, "")
    return dg.RunRequest(
        run_key=f"{key}:{fingerprint[:16]}:{run.run_id}",
        job_name=keys.RELEASE_JOB,
        partition_key=key,
        tags={keys.FINGERPRINT_TAG: fingerprint, keys.TRY_TAG: str(tries)},
    )


def _is_newest(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether nothing was decided since.

    A run that only measured again decides nothing, nor does a promotion by hand that failed.
    """
    tags = {keys.PARTITION_TAG: run.tags[keys.PARTITION_TAG]}
    runs = instance.get_runs(dg.RunsFilter(job_name=keys.RELEASE_JOB, tags=tags), limit=50)
    deciding = (each.run_id for each in runs if is_whole(each) or _released(each))
    return next(deciding, None) == run.run_id


def _released(run: dg.DagsterRun) -> bool:
    asked_for = run.asset_selection or ()
    return dg.AssetKey(keys.RELEASE) in asked_for and run.is_success


def may_converge(instance: dg.DagsterInstance, job: str) -> bool:
    """Not while a convergence is under way, and not at once after one that failed."""
    newest = instance.get_run_records(dg.RunsFilter(job_name=job), limit=1)
    if not newest:
        return True
    status = newest[0].dagster_run.status
    if status in ACTIVE:
        return False
    age = datetime.now(UTC) - newest[0].update_timestamp.astimezone(UTC)
    return status is dg.DagsterRunStatus.SUCCESS or age > PAUSE_AFTER_FAILURE
