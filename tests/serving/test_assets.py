"""The serving end of the graph: candidates, releases and endpoints, with real runs."""

import json

import pytest

from cloud_assets import keys
from cloud_assets.keys import CANDIDATE, CHAMPION, PREVIOUS
from cloud_assets.lineage import published
from cloud_assets.serving.world import World as SystemsInTouch
from resources.serving import Servable
from tests.doubles.world import MODEL, World, checks, complaint, metadata

ROLLBACK = {"action": "rollback", "requested_by": "somebody", "reason": "it stutters"}


def test_a_candidate_is_served_beside_what_serves_now(world: World) -> None:
    world.publish(100)
    result = world.run(keys.INFERENCE_SERVICE)
    assert result.success
    assert checks(result) == {"answers": True}
    assert metadata(result, keys.INFERENCE_SERVICE)["url"] == world.server.url
    assert (world.serving.up, world.behind) == (["qa.run.100"], None)


def test_serving_it_again_starts_nothing(world: World) -> None:
    world.publish(100)
    for _ in range(2):
        result = world.run(keys.INFERENCE_SERVICE)
    assert metadata(result, keys.INFERENCE_SERVICE)["reused"] is True
    assert world.serving.started == ["qa.run.100"]


def test_what_was_never_published_is_not_served(world: World) -> None:
    world.checkpoints.hf(step=100)
    result = world.run(keys.INFERENCE_SERVICE)
    assert "it was never published" in complaint(result)


def test_a_model_that_cannot_be_loaded_fails_with_its_words(world: World) -> None:
    world.publish(100)
    [prefix] = {
        name.rpartition("/")[0] for name in world.store.list("checkpoints/") if "/model/" in name
    }
    world.serving.broken[world.store.url(f"{prefix}/")] = "odd shape"
    assert "odd shape" in complaint(world.run(keys.INFERENCE_SERVICE))


def released(world: World, step: int) -> dict[str, object]:
    result = world.run(keys.RELEASE, step=step)
    assert result.success
    return metadata(result, keys.RELEASE)


def test_without_reports_a_candidate_is_held_and_gives_its_slot_back(world: World) -> None:
    world.publish(100)
    world.run(keys.INFERENCE_SERVICE)
    told = released(world, 100)
    assert (told["outcome"], told["reasons"]) == ("held", ["its quality was not measured"])
    assert (world.serving.up, world.registry.named(MODEL)) == ([], {CANDIDATE: "qa.run.100"})


def test_a_good_one_is_promoted_on_somebodys_word(world: World) -> None:
    world.publish(100)
    told = metadata(world.promote(100), keys.RELEASE)
    assert told["outcome"] == "promoted"
    assert world.registry.named(MODEL) == {CHAMPION: "qa.run.100"}
    assert world.registry.tags["qa.run.100"]["ai-how.outcome"] == "promoted"


def test_who_asked_and_why_is_kept(world: World) -> None:
    world.publish(100)
    told = metadata(world.run(keys.RELEASE, config=ROLLBACK), keys.RELEASE)
    assert told["requested_by"] == "somebody"
    assert told["reasons"] == ["rollback asked by somebody: it stutters"]


def test_a_promotion_told_twice_names_the_same_predecessor(world: World) -> None:
    for step in (100, 200):
        world.publish(step)
        world.promote(step)
    told = metadata(world.promote(200), keys.RELEASE)
    assert told["previous"] == "qa.run.100"


def test_a_promotion_told_twice_is_of_one_moment(world: World) -> None:
    world.publish(100)
    first, second = (metadata(world.promote(100), keys.RELEASE) for _ in range(2))
    assert first["promoted_at"] == second["promoted_at"]


def test_what_becomes_champion_again_is_promoted_anew(world: World) -> None:
    for step in (100, 200):
        world.publish(step)
    told = [metadata(world.promote(step), keys.RELEASE) for step in (100, 200, 100)]
    assert len({each["promoted_at"] for each in told}) == 3


def test_a_promotion_keeps_the_one_before_warm_and_releases_older_ones(world: World) -> None:
    for step in (100, 200, 300):
        world.publish(step)
        world.promote(step)
    assert world.serving.up == ["qa.run.200", "qa.run.300"]


def test_it_leaves_other_models_alone(world: World) -> None:
    other = Servable("other.run.1", "other", "o" * 64, "file:///other/", "mlx")
    world.serving.serve(other, timeout_seconds=1)
    world.publish(100)
    world.promote(100)
    assert world.serving.up == ["other.run.1", "qa.run.100"]


def test_a_rejected_one_leaves_the_champion_in_place(world: World) -> None:
    world.publish(100)
    world.promote(100)
    champion = world.behind
    world.learn(1)
    world.publish(200)
    world.run(keys.INFERENCE_SERVICE, keys.QUALITY_REPORT, step=200)
    told = released(world, 200)
    assert told["outcome"] == "rejected"
    assert (world.behind, world.serving.up) == (champion, ["qa.run.100"])
    assert world.registry.named(MODEL) == {CHAMPION: "qa.run.100"}


def test_the_decision_is_kept_for_the_page(world: World) -> None:
    world.publish(100)
    released(world, 100)
    [name] = [name for name in world.store.list("reports/") if name.endswith("decision.json")]
    kept = json.loads(world.store.read(name) or b"")
    assert (kept["key"], kept["outcome"]) == ("qa.run.100", "held")


def test_what_is_not_published_is_not_released(world: World) -> None:
    assert "it was never published" in complaint(world.run(keys.RELEASE))


def test_what_is_not_registered_is_not_released(world: World) -> None:
    world.checkpoints.hf(step=100)
    assert world.run(keys.CHECKPOINT, keys.MODEL_ARTIFACT).success
    assert "no version of it is registered" in complaint(world.run(keys.RELEASE))


def test_a_registry_that_is_down_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud_assets.lineage.RETRY_SECONDS", 0.01)
    world.publish(100)
    world.registry.down = True
    result = world.run(keys.RELEASE)
    retried = [e for e in result.all_events if e.event_type_value == "STEP_UP_FOR_RETRY"]
    assert (len(retried), "connection refused" in complaint(result)) == (3, True)


def converge(world: World) -> list[object]:
    result = world.run(keys.ENDPOINT, step=None)
    assert result.success
    return list(metadata(result, keys.ENDPOINT)["changed"])


def test_endpoints_without_champions_need_nothing(world: World) -> None:
    assert converge(world) == []


def test_a_champion_is_brought_back_behind_its_endpoint(world: World) -> None:
    world.publish(100)
    world.promote(100)
    champion = world.behind
    world.serving.release(world.serving.slots()[0].name)
    world.serving.route(MODEL, None)
    assert len(converge(world)) == 2
    assert (world.behind, converge(world)) == (champion, [])


def test_what_is_left_over_is_released(world: World) -> None:
    world.publish(100)
    world.run(keys.INFERENCE_SERVICE)
    released, unnamed = map(str, converge(world))
    assert released.startswith("released slot-qa.run.100")
    assert unnamed == "qa.run.100 is no candidate any more"
    assert (world.serving.up, world.registry.named(MODEL)) == ([], {})


def rewrite_and_reject(world: World, step: int) -> None:
    """The same name again with other bytes, turned away by the quality gate."""
    path = world.checkpoints.root / "run" / f"checkpoint-{step}"
    (path / "README.md").write_text("trained anew, for the worse")
    world.learn(0)
    world.publish(step)
    world.run(keys.INFERENCE_SERVICE, keys.QUALITY_REPORT, step=step)
    assert released(world, step)["outcome"] == "rejected"


def test_a_champion_rewritten_in_place_goes_on_with_its_own_bytes(world: World) -> None:
    world.publish(100)
    world.promote(100)
    champion = world.behind
    rewrite_and_reject(world, 100)
    world.serving.release(world.serving.slots()[0].name)
    converge(world)
    assert world.behind == champion


def test_a_rollback_returns_to_the_bytes_that_were_promoted(world: World) -> None:
    world.publish(100)
    world.promote(100)
    first = world.behind
    world.publish(200)
    world.promote(200)
    rewrite_and_reject(world, 100)
    assert world.run(keys.RELEASE, step=100, config=ROLLBACK).success
    assert world.behind == first
    assert set(world.registry.named(MODEL)) == {CHAMPION, PREVIOUS}


def test_a_rollback_that_is_told_twice_returns_to_the_same_bytes(world: World) -> None:
    """The key alone would not do: both versions are of one checkpoint, rewritten in place."""
    world.publish(100)
    world.promote(100)
    first = world.behind
    (world.checkpoints.root / "run" / "checkpoint-100" / "README.md").write_text("trained anew")
    world.publish(100)
    world.promote(100)
    former = world.registry.alias(MODEL, PREVIOUS)
    asked = {**ROLLBACK, "version": former.number if former else 0}
    for _ in range(2):
        assert world.run(keys.RELEASE, step=100, config=asked).success
        assert world.behind == first


def test_a_version_of_another_checkpoint_is_not_returned_to(world: World) -> None:
    for step in (100, 200):
        world.publish(step)
    result = world.run(keys.RELEASE, step=100, config={**ROLLBACK, "version": 2})
    assert "it is not there, or not `qa.run.100`" in complaint(result)


def newer_champion(world: World, step: int) -> str | None:
    systems = SystemsInTouch(world.settings, world.store, world.registry, world.serving)
    return systems.newer_champion(published(world.store, f"qa.run.{step}"))


def test_the_champion_is_newer_than_one_that_was_held_up(world: World) -> None:
    world.publish(100)
    world.publish(200)
    world.promote(200)
    assert newer_champion(world, 100) == "qa.run.200"


def test_the_champion_is_not_newer_than_its_successor_nor_than_itself(world: World) -> None:
    world.publish(100)
    world.promote(100)
    world.publish(200)
    assert [newer_champion(world, step) for step in (100, 200)] == [None, None]


def test_without_a_champion_none_is_newer(world: World) -> None:
    world.publish(100)
    assert newer_champion(world, 100) is None


def test_what_is_rewritten_back_is_promoted_with_those_bytes(world: World) -> None:
    world.publish(100)
    world.promote(100)
    first = world.behind
    path = world.checkpoints.root / "run" / "checkpoint-100" / "README.md"
    path.write_text("trained anew")
    world.publish(100)
    path.unlink()
    world.publish(100)
    world.promote(100)
    assert world.behind == first


def test_a_rejected_copy_of_the_champion_does_not_take_its_server_along(world: World) -> None:
    world.publish(100)
    world.promote(100)
    world.checkpoints.hf(step=200, size=100)
    world.learn(0)
    world.publish(200)
    world.run(keys.INFERENCE_SERVICE, keys.QUALITY_REPORT, step=200)
    assert released(world, 200)["outcome"] == "rejected"
    assert world.serving.up == ["qa.run.100"]


def test_a_convergence_says_what_it_put_right_in_a_slot_that_somebody_changed(
    world: World,
) -> None:
    world.publish(100)
    world.promote(100)
    world.serving.alter("qa.run.100", ".spec.replicas")
    [slot] = world.serving.slots()
    assert f"put .spec.replicas of {slot.name} right" in converge(world)
