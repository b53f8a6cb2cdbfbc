"""What a checkpoint directory is found to be: published, waited for, refused or gone."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cloud_assets.models.layout import Layout, State, inspect
from tests.doubles.checkpoints import Checkpoints, add, point_shard, safetensors

Change = Callable[[Path], object]


def drop(*names: str) -> Change:
    def change(path: Path) -> None:
        for name in names:
            (path / name).unlink()

    return change


def cut(name: str) -> Change:
    return lambda path: os.truncate(path / name, (path / name).stat().st_size - 1)


def test_a_full_model_is_complete_with_its_allowed_files_only(checkpoints: Checkpoints) -> None:
    path = checkpoints.hf()
    for name in ("evil.py", "model.pt", "tokenizer.pkl", "tokenizer.py", "notes.txt", ".hidden"):
        (path / name).write_bytes(b"x")

    found = inspect(path)

    assert (found.layout, found.state) == (Layout.HF, State.COMPLETE)
    assert [file.name for file in found.files] == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_a_sharded_model_is_complete_with_index_and_shards(checkpoints: Checkpoints) -> None:
    found = inspect(checkpoints.sharded(shards=2))

    assert (found.layout, found.state) == (Layout.HF_SHARDED, State.COMPLETE)
    assert {file.name for file in found.files} >= {
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    }


def test_a_stray_shard_that_the_index_does_not_name_is_not_published(
    checkpoints: Checkpoints,
) -> None:
    path = checkpoints.sharded(shards=2)
    (path / "model-00001-of-00003.safetensors").write_bytes(safetensors({"old": 8}))

    found = inspect(path)

    assert found.state == State.COMPLETE
    assert "model-00001-of-00003.safetensors" not in {file.name for file in found.files}


def test_an_adapter_is_complete_and_names_its_base(checkpoints: Checkpoints) -> None:
    found = inspect(checkpoints.lora())

    assert (found.layout, found.state) == (Layout.LORA, State.COMPLETE)
    assert found.base_model == "org/base"


@pytest.mark.parametrize("layout", ["fsdp-dcp", "deepspeed", "oumi-dcp", "verl"])
def test_a_layout_that_needs_a_merge_is_refused_with_how(
    checkpoints: Checkpoints, layout: str
) -> None:
    write: Callable[[], Path] = getattr(checkpoints, layout.replace("-", "_"))

    found = inspect(write())

    assert (found.layout, found.state) == (layout, State.REFUSED)
    assert found.reason == f"needs a merge: {layout}"
    assert found.fix


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (drop("trainer_state.json"), "trainer_state.json is missing: the save has not ended"),
        (add(".tmpAb3xYz"), ".tmpAb3xYz says that a save is under way"),
        (add("checkpoint-is-incomplete.txt"), "checkpoint-is-incomplete.txt says that a save"),
        (drop("trainer_state.json", "model.safetensors"), "there are no weights"),
        (drop("trainer_state.json", "config.json"), "config.json is missing"),
    ],
    ids=["no marker", "temporary file", "forced save", "no weights yet", "no config yet"],
)
def test_an_unfinished_save_is_waited_for(
    checkpoints: Checkpoints, change: Change, reason: str
) -> None:
    path = checkpoints.hf()
    change(path)

    found = inspect(path)

    assert found.state == State.WAITING
    assert found.reason.startswith(reason)


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            drop("model-00002-of-00003.safetensors"),
            "missing shard 2 of 3: model-00002-of-00003.safetensors",
        ),
        (
            drop("model.safetensors.index.json"),
            "model.safetensors.index.json is missing",
        ),
        (cut("model-00003-of-00003.safetensors"), "model-00003-of-00003.safetensors: truncated"),
        (add("model.safetensors.index.json", b'{"wei'), "model.safetensors.index.json is not a"),
        (add("config.json", b'{"archi'), "config.json is not a JSON object"),
        (
            add("model-00002-of-00003.safetensors", safetensors({"other": 32})),
            "model-00002-of-00003.safetensors and model.safetensors.index.json differ on",
        ),
        (point_shard("model-x.safetensors"), "missing shard: model-x.safetensors"),
    ],
    ids=["shard", "index", "truncated", "index cut", "config cut", "other tensors", "unknown"],
)
def test_what_may_still_be_written_is_final_once_the_save_has_ended(
    checkpoints: Checkpoints, change: Change, reason: str, ended: bool
) -> None:
    path = checkpoints.sharded()
    change(path)
    if not ended:
        (path / "trainer_state.json").unlink()

    found = inspect(path)

    assert found.state == (State.REFUSED if ended else State.WAITING)
    assert found.reason.startswith(reason)
