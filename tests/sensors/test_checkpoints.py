"""Ticks of `new_checkpoints`: once for each checkpoint, whatever is lost between two of them."""

import json
import shutil
from collections.abc import Callable, Sequence

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from cloud_assets import definitions, keys
from cloud_assets.settings import Root, Settings
from resources.errors import TransientError
from sensors import checkpoints as sensor_module
from sensors.checkpoints import REQUESTS_PER_TICK, WAITS_KEPT
from tests.doubles.checkpoints import Checkpoints

Tick = Callable[[], dg.SensorResult]


@pytest.fixture
def code_server(instance: dg.DagsterInstance, settings: Settings) -> Callable[[], Tick]:
    """Starts a code server, which remembers from tick to tick; the next one knows nothing of it."""

    def start() -> Tick:
        sensor = sensor_module.build_sensor(definitions.release_job)

        def tick() -> dg.SensorResult:
            context = dg.build_sensor_context(instance, resources={"settings": settings})
            result = sensor(context)
            assert isinstance(result, dg.SensorResult)
            return result

        return tick

    return start


@pytest.fixture
def tick(code_server: Callable[[], Tick]) -> Tick:
    return code_server()


def requests(result: dg.SensorResult) -> list[dg.RunRequest]:
    return list(result.run_requests or ())


def asked(result: dg.SensorResult) -> list[str | None]:
    return [request.partition_key for request in requests(result)]


def launch(instance: dg.DagsterInstance, found: Sequence[dg.RunRequest]) -> None:
    """What the daemon does with requests: partitions first, then a run each."""
    names = [request.partition_key for request in found if request.partition_key]
    instance.add_dynamic_partitions("checkpoints", names)
    for request in found:
        instance.create_run_for_job(
            definitions.defs.resolve_job_def(keys.RELEASE_JOB),
            tags={**request.tags, keys.PARTITION_TAG: request.partition_key or ""},
        )


def test_a_new_checkpoint_becomes_a_partition_and_a_run(
    tick: Tick, checkpoints: Checkpoints
) -> None:
    checkpoints.hf(step=100)
    result = tick()
    assert asked(result) == ["qa.run.100"]
    [added] = result.dynamic_partitions_requests or ()
    assert (added.partitions_def_name, added.partition_keys) == ("checkpoints", ["qa.run.100"])


def test_dagster_takes_the_result(
    instance: dg.DagsterInstance, settings: Settings, checkpoints: Checkpoints
) -> None:
    checkpoints.hf(step=100)
    instance.add_dynamic_partitions("checkpoints", ["qa.run.100"])
    context = dg.build_sensor_context(
        instance,
        definitions=definitions.defs,
        sensor_name="new_checkpoints",
        resources={"settings": settings},
    )
    sensor = definitions.defs.resolve_sensor_def("new_checkpoints")
    with partition_loading_context(dynamic_partitions_store=instance):
        [request] = sensor.evaluate_tick(context).run_requests or ()
    assert request.tags[keys.PARTITION_TAG] == "qa.run.100"


def test_the_run_carries_the_fingerprint(tick: Tick, checkpoints: Checkpoints) -> None:
    checkpoints.hf(step=100)
    [request] = requests(tick())
    fingerprint = request.tags[keys.FINGERPRINT_TAG]
    assert request.run_key == f"qa.run.100:{fingerprint[:16]}"


def test_one_that_will_be_turned_away_goes_first(tick: Tick, checkpoints: Checkpoints) -> None:
    checkpoints.hf(step=100)
    checkpoints.pickle_only(step=200)
    priorities = {
        each.partition_key: each.tags.get("dagster/priority") for each in requests(tick())
    }
    assert priorities == {"qa.run.100": None, "qa.run.200": "1"}


def test_it_is_asked_for_once(
    instance: dg.DagsterInstance, tick: Tick, checkpoints: Checkpoints
) -> None:
    checkpoints.hf(step=100)
    launch(instance, requests(tick()))
    assert [asked(tick()) for _ in range(2)] == [[], []]


def test_a_request_that_became_no_run_is_made_again_under_the_same_key(
    tick: Tick, checkpoints: Checkpoints
) -> None:
    checkpoints.hf(step=100)
    first, second = requests(tick()), requests(tick())
    assert [each.run_key for each in first] == [each.run_key for each in second]


def test_a_restarted_code_server_asks_for_nothing_twice(
    instance: dg.DagsterInstance, code_server: Callable[[], Tick], checkpoints: Checkpoints
) -> None:
    checkpoints.hf(step=100)
    launch(instance, requests(code_server()()))
    checkpoints.hf(step=200)
    assert asked(code_server()()) == ["qa.run.200"]


def test_a_tick_that_died_after_adding_the_partition_is_made_good(
    instance: dg.DagsterInstance, tick: Tick, checkpoints: Checkpoints
) -> None:
    checkpoints.hf(step=100)
    instance.add_dynamic_partitions("checkpoints", ["qa.run.100"])
    assert asked(tick()) == ["qa.run.100"]


def test_a_tick_that_died_after_its_run_was_made_is_not_repeated(
    instance: dg.DagsterInstance, code_server: Callable[[], Tick], checkpoints: Checkpoints
) -> None:
    checkpoints.hf(step=100)
    launch(instance, requests(code_server()()))
    assert asked(code_server()()) == []


def test_what_the_graph_has_materialized_is_known(
    instance: dg.DagsterInstance, tick: Tick, checkpoints: Checkpoints
) -> None:
    """Runs may be deleted in the UI; the checkpoint is not begun again for that."""
    checkpoints.hf(step=100)
    instance.add_dynamic_partitions("checkpoints", ["qa.run.100"])
    event = dg.AssetMaterialization(keys.CHECKPOINT, partition="qa.run.100")
    instance.report_runless_asset_event(event)
    assert asked(tick()) == []


def test_one_rewritten_in_place_gets_another_run(
    instance: dg.DagsterInstance, tick: Tick, checkpoints: Checkpoints
) -> None:
    path = checkpoints.hf(step=100)
    before = requests(tick())
    launch(instance, before)
    (path / "README.md").write_text("trained anew")
    after = _until_asked(tick)
    assert [each.partition_key for each in after] == ["qa.run.100"]
    assert after[0].run_key != before[0].run_key


def test_one_rewritten_while_nothing_ran_gets_another_run(
    instance: dg.DagsterInstance, code_server: Callable[[], Tick], checkpoints: Checkpoints
) -> None:
    path = checkpoints.hf(step=100)
    launch(instance, requests(code_server()()))
    by_hand = {keys.PARTITION_TAG: "qa.run.100"}
    job = definitions.defs.resolve_job_def(keys.RELEASE_JOB)
    instance.create_run_for_job(job, tags=by_hand)
    (path / "README.md").write_text("trained anew")
    assert [each.partition_key for each in _until_asked(code_server())] == ["qa.run.100"]


def _until_asked(tick: Tick) -> list[dg.RunRequest]:
    """The requests of the first tick that has any; known checkpoints are compared bit by bit."""
    return next((found for _ in range(10) if (found := requests(tick()))), [])


def test_one_tick_asks_for_so_many_and_the_next_goes_on(
    instance: dg.DagsterInstance, tick: Tick, checkpoints: Checkpoints
) -> None:
    for step in range(REQUESTS_PER_TICK + 3):
        checkpoints.hf(step=step)
    counts = []
    for _ in range(3):
        found = requests(tick())
        launch(instance, found)
        counts.append(len(found))
    assert counts == [REQUESTS_PER_TICK, 3, 0]


def test_the_skip_names_what_is_waited_for(tick: Tick, checkpoints: Checkpoints) -> None:
    (checkpoints.hf(step=100) / "trainer_state.json").unlink()
    result = tick()
    assert result.skip_reason is not None
    assert result.skip_reason.skip_message == (
        "1 not ready: qa.run.100: trainer_state.json is missing: the save has not ended"
    )


def test_the_skip_is_short_whatever_waits(tick: Tick, checkpoints: Checkpoints) -> None:
    for step in range(40):
        checkpoints.directory(step=step)
    result = tick()
    assert result.skip_reason is not None
    message = result.skip_reason.skip_message or ""
    assert message.startswith("40 not ready: ")
    assert len(message) < 2000


def test_with_nothing_there_it_says_so(tick: Tick) -> None:
    assert tick().skip_reason == dg.SkipReason("no new checkpoint")


def test_the_cursor_stays_small(tick: Tick, checkpoints: Checkpoints) -> None:
    for step in range(WAITS_KEPT + 30):
        checkpoints.directory(step=step)
        (checkpoints.root / "run" / (f"checkpoint-{step}x" + 80 * "\udcff")).mkdir()
    cursor = tick().cursor or ""
    assert len(json.loads(cursor)["waiting"]) == WAITS_KEPT
    assert len(cursor) < 20_000


def test_hostile_names_can_be_kept_and_shown(tick: Tick, checkpoints: Checkpoints) -> None:
    checkpoints.hf(run="\udcff\n\x1b[31m", step=1)
    result = tick()
    assert result.skip_reason is not None
    shown = f"{result.skip_reason.skip_message}{result.cursor}"
    assert shown.encode().decode().isprintable()


def test_one_rotated_away_before_its_turn_is_not_asked_for(
    tick: Tick, checkpoints: Checkpoints
) -> None:
    path = checkpoints.hf(step=100)
    (path / "trainer_state.json").unlink()
    tick()
    shutil.rmtree(path)
    assert tick().skip_reason == dg.SkipReason("no new checkpoint")


def test_a_root_that_is_away_fails_the_tick(tick: Tick, checkpoints: Checkpoints) -> None:
    checkpoints.root.rmdir()
    with pytest.raises(TransientError, match="no such directory"):
        tick()


def test_a_root_that_is_away_does_not_hold_up_another(
    instance: dg.DagsterInstance, settings: Settings, checkpoints: Checkpoints
) -> None:
    checkpoints.hf(step=100)
    away = Root(path=checkpoints.root.parent / "away", model="other")
    both = settings.model_copy(update={"roots": (away, *settings.roots)})
    sensor = sensor_module.build_sensor(definitions.release_job)
    result = sensor(dg.build_sensor_context(instance, resources={"settings": both}))
    assert isinstance(result, dg.SensorResult)
    assert asked(result) == ["qa.run.100"]


def test_a_tick_reads_the_graph_once_in_a_process(
    tick: Tick, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 10,000 checkpoints the answer is large, and it is known from then on."""
    asked_for: list[object] = []
    real = instance.get_materialized_partitions

    def counted(*args: object, **kwargs: object) -> set[str]:
        asked_for.append(args)
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(instance, "get_materialized_partitions", counted)
    for _ in range(3):
        tick()
    assert len(asked_for) == 1
