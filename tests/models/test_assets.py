"""The first three stages: judged where it lies, published, registered; each bad input by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_assets import keys
from cloud_assets.keys import CANDIDATE, CHAMPION
from tests.doubles.world import MODEL, PREPARED, World, a_world, checks, complaint, metadata


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as found:
        yield found


def test_a_complete_checkpoint_passes_and_is_described(world: World) -> None:
    world.checkpoints.hf(step=100)
    result = world.run(keys.CHECKPOINT)
    assert checks(result) == {"complete": True, "safe": True}
    told = metadata(result, keys.CHECKPOINT)
    assert (told["layout"], told["state"], told["files"]) == ("hf", "complete", 5)


def test_a_half_written_one_is_not_complete_and_goes_no_further(world: World) -> None:
    (world.checkpoints.hf(step=100) / "trainer_state.json").unlink()
    result = world.run(*PREPARED)
    assert checks(result) == {"complete": False, "safe": True}
    assert world.store.list("checkpoints/") == {}


def test_a_pickle_is_not_safe_and_goes_no_further(world: World) -> None:
    world.checkpoints.pickle_only(step=100)
    result = world.run(*PREPARED)
    assert checks(result) == {"complete": True, "safe": False}
    assert world.store.list("checkpoints/") == {}


def test_a_failed_check_carries_reason_and_fix(world: World) -> None:
    world.checkpoints.pickle_only(step=100)
    [failed] = [c for c in world.run(keys.CHECKPOINT).get_asset_check_evaluations() if not c.passed]
    assert failed.description == "weights are only there as a pickle: pytorch_model.bin"
    assert failed.metadata["fix"].value == "save with save_safetensors=True"


def test_one_that_was_rotated_away_says_so(world: World) -> None:
    assert "its directory is gone" in complaint(world.run(keys.CHECKPOINT))


def test_what_may_be_published_is_in_the_store(world: World) -> None:
    world.publish()
    names = {name.rpartition("/")[2] for name in world.store.list("checkpoints/")}
    assert names == {
        "manifest.json",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_publishing_again_sends_nothing(world: World) -> None:
    world.publish()
    told = metadata(world.run(keys.MODEL_ARTIFACT), keys.MODEL_ARTIFACT)
    assert (told["sent_files"], told["sent_bytes"], told["megabytes_per_second"]) == (0, 0, 0.0)


def test_stored_bytes_that_changed_fail_the_check(world: World) -> None:
    world.publish()
    [weights] = [n for n in world.store.list("checkpoints/") if n.endswith("model.safetensors")]
    content = world.store.read(weights) or b""
    world.store.write(weights, content[:-1] + b"\x00")
    result = world.run(keys.MODEL_ARTIFACT)
    assert checks(result) == {"matches_manifest": False}


def test_the_version_points_at_the_published_bytes(world: World) -> None:
    world.publish()
    [version] = world.registry.versions
    assert version.source.startswith("store:///")
    assert world.store.list(version.source.partition(world.store.url(""))[2] or "checkpoints/")
    assert world.registry.named(MODEL) == {CANDIDATE: "qa.run.100"}


def test_registering_again_makes_no_other_version(world: World) -> None:
    world.publish()
    told = metadata(world.run(keys.REGISTERED_MODEL), keys.REGISTERED_MODEL)
    assert (told["created"], len(world.registry.versions)) == (False, 1)


def test_a_champion_is_no_candidate_again(world: World) -> None:
    world.publish()
    world.promote(100)
    world.run(keys.REGISTERED_MODEL)
    assert world.registry.named(MODEL) == {CHAMPION: "qa.run.100"}


def test_nothing_is_registered_whose_bytes_are_not_there(world: World) -> None:
    world.checkpoints.hf(step=100)
    world.run(keys.CHECKPOINT, keys.MODEL_ARTIFACT)
    [prefix] = {n.rpartition("/")[0] for n in world.store.list("checkpoints/") if "/model/" in n}
    world.store.delete_prefix(prefix)
    assert "the store lacks" in complaint(world.run(keys.REGISTERED_MODEL))
    assert world.registry.versions == []
