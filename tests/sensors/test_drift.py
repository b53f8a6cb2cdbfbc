"""Drift: what is not as it should be, when it is put right, and when held ones are tried again."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from cloud_assets import definitions, keys
from cloud_assets.serving.promotion import promote, route_to
from cloud_assets.settings import Settings
from resources.errors import TransientError
from resources.mlflow import Registration, Version
from resources.serving import Route, Servable, Served
from sensors import drift
from sensors.drift import (
    FIRST_RETRY_SECONDS,
    FORGOTTEN_SECONDS,
    MOST_RETRIES,
    differences,
    forgotten,
    retries,
)
from tests.doubles.registry import MemoryRegistry
from tests.doubles.serving import MemoryServing

KEY = "qa.run.100"
LONG_AGO = timedelta(hours=3)


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


@pytest.fixture
def serving() -> MemoryServing:
    return MemoryServing()


def registered(registry: MemoryRegistry, step: int) -> Version:
    key = f"qa.run.{step}"
    wanted = Registration("qa", key, f"{step:064}", f"store:///{key}/", "run", step)
    return registry.register(wanted)[0]


def served(serving: MemoryServing, version: Version) -> Served:
    location = version.source.replace("store://", "file://")
    servable = Servable(version.key, version.model, version.digest, location, "mlx")
    return serving.serve(servable, timeout_seconds=1)


def promoted(registry: MemoryRegistry, serving: MemoryServing, step: int = 100) -> Version:
    version = registered(registry, step)
    promote(registry, serving, version, served(serving, version).slot)
    return version


def told_of(registry: MemoryRegistry, serving: MemoryServing) -> tuple[str, ...]:
    return tuple(each.sentence for each in differences(["qa"], registry, serving))


def test_nothing_is_wrong_with_a_served_champion(
    registry: MemoryRegistry, serving: MemoryServing
) -> None:
    promoted(registry, serving)
    assert told_of(registry, serving) == ()


def test_a_model_without_a_champion_needs_nothing(
    registry: MemoryRegistry, serving: MemoryServing
) -> None:
    assert told_of(registry, serving) == ()


def test_an_endpoint_that_lags_behind_is_told(
    registry: MemoryRegistry, serving: MemoryServing
) -> None:
    promoted(registry, serving)
    registry.set_alias(registered(registry, 200), keys.CHAMPION)
    [told] = told_of(registry, serving)
    assert told == "qa: behind the endpoint is qa.run.100, not the champion"


def test_a_closed_endpoint_is_told(registry: MemoryRegistry, serving: MemoryServing) -> None:
    promoted(registry, serving)
    serving.route("qa", None)
    [told] = told_of(registry, serving)
    assert (
        told == "qa: behind the endpoint is nothing that the platform put there, not the champion"
    )


def test_a_champion_whose_server_is_gone_is_told(
    registry: MemoryRegistry, serving: MemoryServing
) -> None:
    promoted(registry, serving)
    serving.release(serving.slots()[0].name)
    assert told_of(registry, serving) == ("qa: the champion's model server is gone",)


def test_an_endpoint_with_the_address_of_another_slot_is_told(
    registry: MemoryRegistry, serving: MemoryServing
) -> None:
    version = promoted(registry, serving)
    route = route_to(serving.slots()[0])
    serving.route("qa", Route(route.key, version.digest, "http://127.0.0.1:2", "qa"))
    assert told_of(registry, serving) == ("qa: the champion's model server is gone",)


def test_a_champion_whose_server_failed_is_told_with_its_words(
    registry: MemoryRegistry, serving: MemoryServing
) -> None:
    promoted(registry, serving)
    serving.fail(KEY, "out of memory")
    [told] = told_of(registry, serving)
    assert told == "qa: the champion's model server failed: out of memory"


def test_a_champion_whose_server_somebody_changed_is_told_with_what_was_changed(
    registry: MemoryRegistry, serving: MemoryServing
) -> None:
    promoted(registry, serving)
    serving.alter(KEY, ".spec.replicas")
    [found] = differences(["qa"], registry, serving)
    assert found.repairs
    assert found.sentence == "qa: somebody changed the champion's model server: .spec.replicas"


@pytest.mark.parametrize(("url", "repairs"), [("", True), ("http://127.0.0.1:1", False)])
def test_a_champion_that_is_not_up_is_seen_to_where_it_has_no_address_any_more(
    registry: MemoryRegistry, serving: MemoryServing, url: str, repairs: bool
) -> None:
    promoted(registry, serving)
    serving.restart(KEY, "no node takes it", url=url)
    [found] = differences(["qa"], registry, serving)
    assert found.repairs == repairs
    assert found.sentence == "qa: the champion's model server is not up: no node takes it"


def make_run(
    instance: dg.DagsterInstance, job: str, status: dg.DagsterRunStatus, key: str | None = None
) -> dg.DagsterRun:
    tags = {keys.PARTITION_TAG: key} if key else None
    job_definition = definitions.defs.resolve_job_def(job)
    return instance.create_run_for_job(job_definition, tags=tags, status=status)


Held = Callable[..., dg.DagsterRun]


@pytest.fixture
def held(instance: dg.DagsterInstance) -> Held:
    """A failed run of a checkpoint that was held up."""

    def make(*, tries: int = 0) -> dg.DagsterRun:
        run = instance.create_run_for_job(
            definitions.defs.resolve_job_def(keys.RELEASE_JOB),
            tags={
                keys.PARTITION_TAG: KEY,
                keys.FINGERPRINT_TAG: "f" * 64,
                keys.OUTCOME_TAG: "held",
                keys.TRY_TAG: str(tries),
            },
        )
        instance.report_run_failed(run, "MLflow is down")
        return run

    return make


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Lets the sensor believe that so much time has passed."""

    def move(by: timedelta) -> None:
        class Clock(datetime):
            @classmethod
            def now(cls, tz: object = None) -> "Clock":
                return cls.fromtimestamp((datetime.now(UTC) + by).timestamp(), UTC)

        monkeypatch.setattr(drift, "datetime", Clock)

    return move


def tries(found: Iterable[dg.RunRequest]) -> list[str]:
    return [request.tags[keys.TRY_TAG] for request in found]


def test_a_held_checkpoint_waits_first(instance: dg.DagsterInstance, held: Held) -> None:
    held()
    assert list(retries(instance)) == []


def test_then_it_is_tried_again(
    instance: dg.DagsterInstance, held: Held, later: Callable[[timedelta], None]
) -> None:
    run = held()
    later(timedelta(seconds=FIRST_RETRY_SECONDS + 1))
    [request] = retries(instance)
    assert request.partition_key == KEY
    assert request.job_name == keys.RELEASE_JOB
    assert request.run_key is not None
    assert request.run_key.endswith(run.run_id)
    assert request.tags == {keys.FINGERPRINT_TAG: "f" * 64, keys.TRY_TAG: "1"}


@pytest.mark.parametrize(("tried", "pause"), [(0, 20), (1, 40), (2, 80), (5, 640), (7, 900)])
def test_the_pause_doubles_up_to_a_quarter_of_an_hour(
    instance: dg.DagsterInstance,
    held: Held,
    later: Callable[[timedelta], None],
    tried: int,
    pause: int,
) -> None:
    held(tries=tried)
    later(timedelta(seconds=pause - 10))
    before = tries(retries(instance))
    later(timedelta(seconds=pause + 1))
    assert (before, tries(retries(instance))) == ([], [str(tried + 1)])


def test_it_is_given_up_in_the_end(
    instance: dg.DagsterInstance, held: Held, later: Callable[[timedelta], None]
) -> None:
    held(tries=MOST_RETRIES)
    later(LONG_AGO)
    assert list(retries(instance)) == []


def test_one_with_a_newer_run_is_left_alone(
    instance: dg.DagsterInstance, held: Held, later: Callable[[timedelta], None]
) -> None:
    held()
    make_run(instance, keys.RELEASE_JOB, dg.DagsterRunStatus.STARTED, KEY)
    later(LONG_AGO)
    assert list(retries(instance)) == []


def test_a_benchmark_since_then_changes_nothing(
    instance: dg.DagsterInstance, held: Held, later: Callable[[timedelta], None]
) -> None:
    held()
    tags = {keys.PARTITION_TAG: KEY, keys.BENCH_TAG: "somebody"}
    instance.create_run_for_job(definitions.defs.resolve_job_def(keys.RELEASE_JOB), tags=tags)
    later(LONG_AGO)
    assert tries(retries(instance)) == ["1"]


@pytest.mark.parametrize(("succeeds", "expected"), [(False, ["1"]), (True, [])])
def test_a_promotion_by_hand_since_then_counts_if_it_came_to_something(
    instance: dg.DagsterInstance,
    held: Held,
    later: Callable[[timedelta], None],
    succeeds: bool,
    expected: list[str],
) -> None:
    held()
    status = dg.DagsterRunStatus.SUCCESS if succeeds else dg.DagsterRunStatus.FAILURE
    instance.create_run_for_job(
        definitions.defs.resolve_job_def(keys.RELEASE_JOB),
        tags={keys.PARTITION_TAG: KEY},
        status=status,
        asset_selection=frozenset({dg.AssetKey(keys.RELEASE)}),
    )
    later(LONG_AGO)
    assert tries(retries(instance)) == expected


def test_a_rejected_checkpoint_is_not_tried_again(
    instance: dg.DagsterInstance, held: Held, later: Callable[[timedelta], None]
) -> None:
    instance.add_run_tags(held().run_id, {keys.OUTCOME_TAG: "rejected"})
    later(LONG_AGO)
    assert list(retries(instance)) == []


def failed_run(instance: dg.DagsterInstance, **tags: str) -> dg.DagsterRun:
    """A whole run of a checkpoint that ended and that nobody has judged."""
    run = instance.create_run_for_job(
        definitions.defs.resolve_job_def(keys.RELEASE_JOB),
        tags={keys.PARTITION_TAG: KEY, keys.FINGERPRINT_TAG: "f" * 64, **tags},
    )
    instance.report_run_failed(run, "its process was killed")
    return run


def test_a_retry_that_was_promised_and_lost_is_made_good(
    instance: dg.DagsterInstance, later: Callable[[timedelta], None]
) -> None:
    failed_run(instance, **{"dagster/will_retry": "true"})
    before = tries(forgotten(instance))
    later(timedelta(seconds=FORGOTTEN_SECONDS + 1))
    assert (before, tries(forgotten(instance))) == ([], ["1"])


@pytest.mark.parametrize("outcome", ["rejected", "held"])
def test_a_failed_run_that_was_judged_is_not_forgotten(
    instance: dg.DagsterInstance, later: Callable[[timedelta], None], outcome: str
) -> None:
    failed_run(instance, **{keys.OUTCOME_TAG: outcome})
    later(timedelta(seconds=FORGOTTEN_SECONDS + 1))
    assert list(forgotten(instance)) == []


def test_a_failed_run_that_was_started_again_is_not_forgotten(
    instance: dg.DagsterInstance, later: Callable[[timedelta], None]
) -> None:
    failed_run(instance)
    make_run(instance, keys.RELEASE_JOB, dg.DagsterRunStatus.STARTED, KEY)
    later(timedelta(seconds=FORGOTTEN_SECONDS + 1))
    assert list(forgotten(instance)) == []


def test_a_forgotten_one_is_given_up_in_the_end(
    instance: dg.DagsterInstance, later: Callable[[timedelta], None]
) -> None:
    failed_run(instance, **{keys.TRY_TAG: str(MOST_RETRIES)})
    later(timedelta(seconds=FORGOTTEN_SECONDS + 1))
    assert list(forgotten(instance)) == []


@pytest.fixture
def tick(
    instance: dg.DagsterInstance,
    settings: Settings,
    registry: MemoryRegistry,
    serving: MemoryServing,
) -> Callable[[], list[dg.RunRequest | dg.SkipReason]]:
    def run() -> list[dg.RunRequest | dg.SkipReason]:
        sensor = drift.build_sensor(definitions.release_job, definitions.endpoint_job)
        resources = {"settings": settings, "registry": registry, "serving": serving}
        answer = sensor(dg.build_sensor_context(instance, resources=resources))
        assert isinstance(answer, Iterable)
        return list(answer)

    return run


Tick = Callable[[], list[dg.RunRequest | dg.SkipReason]]


def jobs(found: Iterable[dg.RunRequest | dg.SkipReason]) -> list[str | None]:
    return [each.job_name for each in found if isinstance(each, dg.RunRequest)]


def test_a_tick_with_nothing_wrong_says_so(tick: Tick) -> None:
    assert tick() == [dg.SkipReason("everything is as it should be")]


def test_a_tick_asks_for_the_endpoints_and_says_why(
    tick: Tick, registry: MemoryRegistry, serving: MemoryServing
) -> None:
    promoted(registry, serving)
    serving.route("qa", None)
    [request] = tick()
    assert isinstance(request, dg.RunRequest)
    assert (request.job_name, request.run_key) == (keys.ENDPOINT_JOB, None)
    assert "behind the endpoint is nothing" in request.tags["ai-how/drift"]


@pytest.mark.parametrize("status", ["NOT_STARTED", "STARTING", "STARTED"])
def test_not_while_it_is_under_way(
    tick: Tick,
    instance: dg.DagsterInstance,
    registry: MemoryRegistry,
    serving: MemoryServing,
    status: str,
) -> None:
    promoted(registry, serving)
    serving.route("qa", None)
    make_run(instance, keys.ENDPOINT_JOB, dg.DagsterRunStatus[status])
    [skip] = tick()
    assert isinstance(skip, dg.SkipReason)
    assert "behind the endpoint" in (skip.skip_message or "")


def test_after_one_that_failed_it_waits(
    tick: Tick,
    instance: dg.DagsterInstance,
    registry: MemoryRegistry,
    serving: MemoryServing,
    later: Callable[[timedelta], None],
) -> None:
    promoted(registry, serving)
    serving.route("qa", None)
    make_run(instance, keys.ENDPOINT_JOB, dg.DagsterRunStatus.FAILURE)
    soon = jobs(tick())
    later(drift.PAUSE_AFTER_FAILURE + timedelta(seconds=1))
    assert (soon, jobs(tick())) == ([], [keys.ENDPOINT_JOB])


def test_after_one_that_succeeded_it_may_converge_at_once(
    tick: Tick, instance: dg.DagsterInstance, registry: MemoryRegistry, serving: MemoryServing
) -> None:
    promoted(registry, serving)
    serving.route("qa", None)
    make_run(instance, keys.ENDPOINT_JOB, dg.DagsterRunStatus.SUCCESS)
    assert jobs(tick()) == [keys.ENDPOINT_JOB]


def test_a_champion_that_is_being_started_again_is_told_in_the_tick(
    tick: Tick, registry: MemoryRegistry, serving: MemoryServing
) -> None:
    promoted(registry, serving)
    serving.restart(KEY, "no node takes it", url="http://127.0.0.1:1")
    [skip] = tick()
    assert isinstance(skip, dg.SkipReason)
    assert "is not up: no node takes it" in (skip.skip_message or "")


def test_a_registry_that_is_down_fails_the_tick(tick: Tick, registry: MemoryRegistry) -> None:
    registry.down = True
    with pytest.raises(TransientError, match="MLflow"):
        tick()
