"""The `new_checkpoints` sensor: holds its tick until a checkpoint is ready, then asks for one run.

A checkpoint counts as requested when its run exists, never because its partition does: a tick that
dies between the two is made good by the next one, and the run key keeps that from doubling.
"""

import json
import time
from collections.abc import Iterable

import dagster as dg

from cloud_assets import keys
from cloud_assets.models.layout import State
from cloud_assets.models.watch import Look, Sighting, Watch, waiting_for
from cloud_assets.settings import Settings

PAUSE_SECONDS = 0.1
#: The queue takes runs with a higher number first; without it they have 0.
PRIORITY_TAG = "dagster/priority"
REQUESTS_PER_TICK = 25
#: How many already requested checkpoints are compared with the disk, and how often in a hold.
REVISITED, REVISIT_SECONDS = 1, 1.0
WAITS_KEPT = 50
RUNS_SEARCHED = 20


class Requests:
    """What was asked for and is not seen as a run yet; lives as long as the code server."""

    def __init__(self, instance: dg.DagsterInstance, settings: Settings) -> None:
        self._instance = instance
        self._unconfirmed: dict[str, Sighting] = {}
        self.watch = Watch(
            settings.roots,
            settings.watch.quiet_seconds,
            known=dict.fromkeys(_requested_keys(instance)),
            recorded=self._recorded,
        )

    def settle(self) -> None:
        """Take back what a tick asked for and no run came of."""
        lost = [s.key for s in self._unconfirmed.values() if not _has_run(self._instance, s)]
        if lost:
            # Forgetting lists every run anew, which a tick with nothing new must not pay for.
            self.watch.forget(lost)
        self._unconfirmed.clear()

    def requested(self, sighting: Sighting) -> dg.RunRequest:
        self.watch.requested(sighting)
        self._unconfirmed[sighting.key] = sighting
        return run_request(sighting)

    def _recorded(self, key: str) -> str | None:
        """The fingerprint that the newest run of `key` was for.

        Runs that a person asked for, as `ai-how promote` does, name none and are passed over.
        """
        runs = self._instance.get_runs(
            dg.RunsFilter(job_name=keys.RELEASE_JOB, tags={keys.PARTITION_TAG: key}),
            limit=RUNS_SEARCHED,
        )
        named = (run.tags.get(keys.FINGERPRINT_TAG) for run in runs)
        return next(filter(None, named), None)


def run_request(sighting: Sighting) -> dg.RunRequest:
    """The one run of a checkpoint as it is now; a rewritten one has another run key.

    One that will be turned away takes a second, and need not wait for the load tests of others.
    """
    fingerprint = sighting.inspection.fingerprint
    first = {PRIORITY_TAG: "1"} if sighting.inspection.state is State.REFUSED else {}
    return dg.RunRequest(
        run_key=f"{sighting.key}:{fingerprint[:16]}",
        partition_key=sighting.key,
        tags={keys.FINGERPRINT_TAG: fingerprint, **first},
    )


def hold(requests: Requests, settings: Settings) -> Look:
    """Look until something is ready, or until the tick has lasted long enough."""
    end = time.monotonic() + settings.watch.hold_seconds
    revisit_at = 0.0
    while True:
        look = requests.watch.look(time.time())
        if look.ready or time.monotonic() >= end:
            return look
        if time.monotonic() >= revisit_at:
            requests.watch.revisit(REVISITED)
            revisit_at = time.monotonic() + REVISIT_SECONDS
        time.sleep(PAUSE_SECONDS)


def skip_reason(look: Look) -> str:
    """What the sensor waits for, with counts, for the tick's row in the UI."""
    waits = waiting_for(look)
    if not waits:
        return "no new checkpoint"
    listed = [f"{name}: {reason}" for name, reason in list(waits.items())[:10]]
    return f"{len(waits)} not ready: " + "; ".join(listed)


def build_sensor(job: keys.AssetJob) -> dg.SensorDefinition:
    """The sensor that requests `job`; its memory is made at the first tick in a process."""
    memory: dict[str, Requests] = {}

    @dg.sensor(
        name="new_checkpoints",
        job=job,
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Watches the roots for checkpoints that a trainer has finished.",
    )
    def new_checkpoints(
        context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
    ) -> dg.SensorResult:
        instance = context.instance
        place = instance.root_directory
        requests = memory[place] = memory.get(place) or Requests(instance, settings)
        requests.settle()
        look = hold(requests, settings)
        ready = look.ready[:REQUESTS_PER_TICK]
        if look.unlisted and not ready:
            # The tick shows as failed: a mount that is away must not look like nothing to do.
            raise look.unlisted[0]
        runs = [requests.requested(sighting) for sighting in ready]
        return dg.SensorResult(
            run_requests=runs,
            dynamic_partitions_requests=[
                keys.CHECKPOINTS.build_add_request([sighting.key for sighting in ready])
            ]
            if ready
            else [],
            skip_reason=None if ready else dg.SkipReason(skip_reason(look)),
            cursor=json.dumps({"waiting": dict(list(waiting_for(look).items())[:WAITS_KEPT])}),
        )

    return new_checkpoints


def _requested_keys(instance: dg.DagsterInstance) -> set[str]:
    """The checkpoints that some run came to; those with a partition only are asked one by one."""
    begun = instance.get_materialized_partitions(dg.AssetKey(keys.CHECKPOINT))
    registered = set(instance.get_dynamic_partitions("checkpoints"))
    return begun | _with_runs(instance, registered - begun)


def _with_runs(instance: dg.DagsterInstance, candidates: Iterable[str]) -> set[str]:
    return {
        key
        for key in candidates
        if instance.get_runs(dg.RunsFilter(tags={keys.PARTITION_TAG: key}), limit=1)
    }


def _has_run(instance: dg.DagsterInstance, sighting: Sighting) -> bool:
    tags = {
        keys.PARTITION_TAG: sighting.key,
        keys.FINGERPRINT_TAG: sighting.inspection.fingerprint,
    }
    return bool(instance.get_runs(dg.RunsFilter(tags=tags), limit=1))
