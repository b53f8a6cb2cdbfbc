"""The order of files is observed in the directory itself, after every single write."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save_file

from examples import hf_layout, tiny_llama

TOKENIZER = ["chat_template.jinja", "tokenizer_config.json", "tokenizer.json"]
TRAINER = ["training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"]


@pytest.fixture
def arrivals(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Names below `tmp_path/checkpoint-3` in the order in which they came to be there."""
    seen: list[str] = []

    def watched(write: Callable[..., Any]) -> Callable[..., Any]:
        def written(*arguments: Any, **named: Any) -> Any:
            result = write(*arguments, **named)
            present = os.listdir(tmp_path / "checkpoint-3")
            seen.extend(sorted(name for name in present if name not in seen))
            return result

        return written

    monkeypatch.setattr(Path, "write_text", watched(Path.write_text))
    monkeypatch.setattr(Path, "write_bytes", watched(Path.write_bytes))
    monkeypatch.setattr(hf_layout, "save_file", watched(save_file))
    return seen


def _checkpoint(run: Path, step: int, *, modified: float) -> Path:
    directory = run / f"checkpoint-{step}"
    directory.mkdir(parents=True)
    (directory / "config.json").write_text("{}")
    os.utime(directory, (modified, modified))
    return directory


def test_an_existing_directory_is_never_written_into(tmp_path: Path) -> None:
    directory = _checkpoint(tmp_path, 3, modified=1)
    with pytest.raises(FileExistsError):
        tiny_llama.write_checkpoint(directory, seed=0, step=3)
    assert os.listdir(directory) == ["config.json"]


@pytest.mark.parametrize("content", [None, b"", b'{"global_step": 3', b"\xff\xfe"])
def test_a_missing_or_truncated_state_reads_as_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "trainer_state.json").write_bytes(content)
    assert hf_layout.read_trainer_state(tmp_path) is None


def test_a_full_checkpoint_appears_in_the_trainers_order(
    tmp_path: Path, arrivals: list[str]
) -> None:
    tiny_llama.write_checkpoint(tmp_path / "checkpoint-3", seed=0, step=3)
    model = ["config.json", "generation_config.json", "model.safetensors"]
    assert arrivals == [*model, *TOKENIZER, *TRAINER, "trainer_state.json"]


def test_an_adapter_appears_in_pefts_order(tmp_path: Path, arrivals: list[str]) -> None:
    tiny_llama.write_lora_checkpoint(tmp_path / "checkpoint-3", base="/b", seed=0, step=3)
    adapter = ["README.md", "adapter_model.safetensors", "adapter_config.json"]
    assert arrivals == [*adapter, *TOKENIZER, *TRAINER, "trainer_state.json"]


def test_rotation_goes_by_modification_time_and_not_by_step(tmp_path: Path) -> None:
    touched_last = _checkpoint(tmp_path, 10, modified=300)
    oldest = _checkpoint(tmp_path, 30, modified=100)
    _checkpoint(tmp_path, 20, modified=200)
    assert hf_layout.rotate(tmp_path, keep=2) == [oldest]
    assert touched_last.exists()


def test_rotation_keeps_everything_within_the_limit(tmp_path: Path) -> None:
    _checkpoint(tmp_path, 10, modified=100)
    assert hf_layout.rotate(tmp_path, keep=2) == []


def test_checkpoints_are_listed_by_step_and_nothing_else_is(tmp_path: Path) -> None:
    second, first = _checkpoint(tmp_path, 100, modified=1), _checkpoint(tmp_path, 20, modified=2)
    shutil.copytree(first, tmp_path / "checkpoint-20.bak")
    (tmp_path / "checkpoint-30").write_text("a file")
    assert hf_layout.checkpoints(tmp_path) == [first, second]


def test_a_run_that_is_not_there_has_no_checkpoints(tmp_path: Path) -> None:
    assert hf_layout.checkpoints(tmp_path / "absent") == []


def test_the_last_step_saves_even_between_two_saves() -> None:
    schedule = hf_layout.Schedule(max_steps=7, save_steps=3)
    assert [step for step in range(1, 8) if schedule.saves_at(step)] == [3, 6, 7]
