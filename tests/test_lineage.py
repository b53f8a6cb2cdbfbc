"""What stages read of one another: documents, artifacts, and errors in Dagster's terms."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cloud_assets import keys
from cloud_assets.documents import Manifest
from cloud_assets.identity import StorePaths
from cloud_assets.lineage import (
    RETRIES,
    fetcher,
    outcomes,
    published,
    read_document,
    record_figures,
    registered,
    servable,
)
from cloud_assets.settings import Settings
from cloud_assets.settings.serving import Serving
from resources.errors import (
    AiHowError,
    DeadlineExceeded,
    NeedsRepair,
    PermanentError,
    SettingsError,
    TransientError,
    UsageError,
)
from tests.doubles.world import World, a_world, complaint

KEY = "qa.run.100"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as found:
        yield found


def test_what_may_pass_is_tried_again() -> None:
    with pytest.raises(dg.RetryRequested) as asked, outcomes():
        raise TransientError("MLflow", "answer", "connection refused")
    assert asked.value.max_retries == RETRIES


def test_what_is_for_good_ends_the_run_with_its_fix() -> None:
    with pytest.raises(dg.Failure, match="odd shape") as failed, outcomes():
        raise PermanentError("the engine", "load it", "odd shape", hint="merge it")
    assert failed.value.metadata["fix"].value == "merge it"
    assert failed.value.allow_retries is False


def test_a_wrong_request_is_for_good() -> None:
    with pytest.raises(dg.Failure), outcomes():
        raise UsageError("no key")


@pytest.mark.parametrize(
    "error",
    [
        NeedsRepair("the engine", "start", "it is not installed"),
        DeadlineExceeded("the engine", "answer in time", "no node takes it"),
        SettingsError(["suite.jsonl:3: no JSON"]),
    ],
)
def test_what_the_site_must_mend_holds_the_checkpoint(error: AiHowError) -> None:
    with pytest.raises(dg.Failure) as failed, outcomes():
        raise error
    assert failed.value.metadata["outcome"].value == "held"


def test_an_adapter_comes_with_the_place_of_its_base(world: World) -> None:
    world.publish(100)
    manifest = published(world.store, KEY).model_copy(update={"base_model": "org/base"})
    serving = Serving(base_models={"org/base": Path("/models/a base")})
    known = servable(manifest, world.store, Settings(serving=serving))
    assert (known.adapter_of, known.base_location) == ("org/base", "file:///models/a%20base/")
    unknown = servable(manifest, world.store, Settings())
    assert (unknown.adapter_of, unknown.base_location) == ("org/base", None)


def test_a_defect_of_ours_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError), outcomes():
        raise ZeroDivisionError


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"key": 7}', b"\xff", b'{"more": 1}'])
def test_a_damaged_document_is_told_by_name(world: World, content: bytes) -> None:
    name = StorePaths(KEY).manifest
    world.store.write(name, content)
    with pytest.raises(PermanentError, match=f"read {name}: it is not a Manifest"):
        read_document(world.store, name, Manifest)


def test_a_missing_document_is_none(world: World) -> None:
    assert read_document(world.store, "nothing.json", Manifest) is None


def test_what_was_never_published_is_told(world: World) -> None:
    with pytest.raises(PermanentError, match="it was never published") as error:
        published(world.store, KEY)
    assert "model_artifact" in (error.value.hint or "")


def test_a_version_keeps_its_bytes_when_others_are_published(world: World) -> None:
    world.publish()
    [version] = world.registry.versions
    before = published(world.store, KEY)
    (world.checkpoints.root / "run" / "checkpoint-100" / "README.md").write_text("anew")
    world.publish()
    assert registered(world.store, version) == before != published(world.store, KEY)


def test_a_version_whose_bytes_are_gone_is_told(world: World) -> None:
    world.publish()
    [version] = world.registry.versions
    world.store.delete_prefix("checkpoints/")
    with pytest.raises(PermanentError, match="nothing is recorded of"):
        registered(world.store, version)


def test_what_a_backend_must_know_is_in_the_manifest(world: World) -> None:
    world.publish()
    manifest = published(world.store, KEY)
    found = servable(manifest, world.store, world.settings)
    assert (found.key, found.name, found.digest) == (KEY, "qa", manifest.digest)
    assert found.location == world.store.url(manifest.prefix)
    assert found.location.endswith("/")


def test_a_model_is_fetched_as_it_was_published(world: World, tmp_path: Path) -> None:
    world.publish()
    manifest = published(world.store, KEY)
    fetcher(world.store)(world.store.url(manifest.prefix), tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        file.name for file in manifest.files
    }


def test_a_model_is_fetched_after_others_were_published(world: World, tmp_path: Path) -> None:
    world.publish()
    location = world.store.url(published(world.store, KEY).prefix)
    source = world.checkpoints.root / "run" / "checkpoint-100"
    (source / "config.json").write_text("{}")
    world.publish()
    fetcher(world.store)(location, tmp_path / "model")
    assert "LlamaForCausalLM" in (tmp_path / "model" / "config.json").read_text()


def test_stored_bytes_that_changed_are_not_served(world: World, tmp_path: Path) -> None:
    world.publish()
    manifest = published(world.store, KEY)
    world.store.write(manifest.prefix + "model.safetensors", b"other")
    with pytest.raises(PermanentError, match="the bytes are not those that were published"):
        fetcher(world.store)(world.store.url(manifest.prefix), tmp_path / "model")


def test_figures_of_what_is_not_registered_are_left_out(world: World) -> None:
    world.publish()
    manifest = published(world.store, KEY)
    world.registry.versions.clear()
    record_figures(world.registry, manifest, {"accuracy": 1.0}, "capitals")
    assert world.registry.figures == {}


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
