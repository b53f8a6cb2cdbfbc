"""What a run waits for: said once for each change, and beside its state while it is under way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_assets import keys
from cloud_assets.lineage import published
from tests.doubles.world import World, a_world, complaint


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as found:
        yield found


def test_what_a_start_waits_for_is_in_the_log_and_on_the_run_until_it_is_up(world: World) -> None:
    world.publish(100)
    world.serving.waits = ("no node takes it", "no node takes it", "it is not ready yet")
    result = world.run(keys.INFERENCE_SERVICE)
    said = [each.user_message for each in world.instance.all_logs(result.run_id)]
    run = world.instance.get_run_by_id(result.run_id)
    assert [each for each in said if each.startswith("it waits")] == [
        "it waits: no node takes it",
        "it waits: it is not ready yet",
    ]
    assert run is not None
    assert run.tags[keys.WAITS_TAG] == ""


def test_what_a_start_that_failed_waited_for_stays_on_the_run(world: World) -> None:
    world.publish(100)
    world.serving.waits = ("no node takes it",)
    manifest = published(world.store, "qa.run.100")
    world.serving.broken[world.store.url(manifest.prefix)] = "odd shape"
    result = world.run(keys.INFERENCE_SERVICE)
    run = world.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags[keys.WAITS_TAG] == "no node takes it"
    assert "odd shape" in complaint(result)
