"""The strategy `replace`: one engine a model, and the champion back where its successor is not."""

import dagster as dg
import pytest

from cloud_assets import keys
from cloud_assets.serving.world import at_rest
from cloud_assets.settings import Serving
from resources.one_slot import OneSlot
from resources.serving import Servable
from tests.doubles.serving import MemoryServing
from tests.doubles.world import World

FIRST = Servable("qa.run.1", "qa", "a" * 64, "file:///1/", "mlx")
SECOND = Servable("qa.run.2", "qa", "b" * 64, "file:///2/", "mlx")
OTHER = Servable("other.run.1", "other", "c" * 64, "file:///3/", "mlx")


@pytest.fixture
def one_gpu(world: World) -> World:
    """The same world with one engine a model."""
    serving = Serving(strategy="replace")
    world.settings = world.settings.model_copy(update={"serving": serving})
    world.backend = OneSlot(world.serving)
    return world


def promoted(world: World, step: int) -> None:
    world.publish(step)
    assert world.promote(step).success


def tried(world: World, step: int) -> dg.ExecuteInProcessResult:
    """The checkpoint served, asked ten questions, and ruled upon."""
    world.publish(step)
    stages = (keys.INFERENCE_SERVICE, keys.QUALITY_REPORT, keys.RELEASE)
    return world.run(*stages, step=step)


def test_serving_stops_what_serves_the_same_model() -> None:
    below = MemoryServing()
    for each in (FIRST, OTHER, SECOND):
        OneSlot(below).serve(each, timeout_seconds=1)
    assert below.up == ["other.run.1", "qa.run.2"]


def test_serving_again_stops_nothing() -> None:
    below = MemoryServing()
    answered = [OneSlot(below).serve(FIRST, timeout_seconds=1) for _ in range(2)]
    assert [each.reused for each in answered] == [False, True]


def test_a_candidate_takes_the_champions_place_while_it_is_tried(one_gpu: World) -> None:
    promoted(one_gpu, 100)
    one_gpu.publish(200)
    one_gpu.run(keys.INFERENCE_SERVICE, step=200)
    assert one_gpu.serving.up == ["qa.run.200"]


def test_the_champion_comes_back_where_the_candidate_is_turned_away(one_gpu: World) -> None:
    promoted(one_gpu, 100)
    champion = one_gpu.behind
    one_gpu.learn(1)
    tried(one_gpu, 200)
    assert (one_gpu.behind, one_gpu.serving.up) == (champion, ["qa.run.100"])


def test_the_champion_comes_back_where_the_candidate_is_held(one_gpu: World) -> None:
    promoted(one_gpu, 100)
    one_gpu.publish(200)
    one_gpu.run(keys.INFERENCE_SERVICE, step=200)
    one_gpu.run(keys.RELEASE, step=200)
    assert one_gpu.serving.up == ["qa.run.100"]


def test_a_promotion_leaves_nothing_warm(one_gpu: World) -> None:
    promoted(one_gpu, 100)
    promoted(one_gpu, 200)
    assert one_gpu.serving.up == ["qa.run.200"]


def test_what_a_crash_has_left_stopped_is_brought_back(one_gpu: World) -> None:
    promoted(one_gpu, 100)
    one_gpu.publish(200)
    one_gpu.run(keys.INFERENCE_SERVICE, step=200)
    one_gpu.run(keys.ENDPOINT, step=None)
    assert one_gpu.serving.up == ["qa.run.100"]


def test_a_champion_is_left_stopped_while_a_run_tries_another(one_gpu: World) -> None:
    assert at_rest(one_gpu.settings, {"qa.run.200"}) == []
    assert at_rest(one_gpu.settings, {"other.run.200"}) == ["qa"]


def test_beside_one_another_a_champion_never_rests(world: World) -> None:
    assert at_rest(world.settings, {"qa.run.200"}) == ["qa"]
