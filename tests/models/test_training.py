"""What the trainer wrote down, and what becomes of it when the file is odd."""

import json
import os
from pathlib import Path

import pytest

from cloud_assets.models.training import TrainingRecord, read_training_record


def record(directory: Path, content: object) -> TrainingRecord:
    text = content if isinstance(content, str) else json.dumps(content)
    (directory / "trainer_state.json").write_text(text)
    return read_training_record(directory)


def test_figures_come_with_their_steps(tmp_path: Path) -> None:
    logged = [{"loss": 2.5, "step": 10, "epoch": 0.1}, {"eval_loss": 1, "step": 20}]
    assert record(tmp_path, {"log_history": logged}).history == (
        ("loss", 10, 2.5),
        ("epoch", 10, 0.1),
        ("eval_loss", 20, 1.0),
    )


def test_parameters_are_texts(tmp_path: Path) -> None:
    found = record(tmp_path, {"max_steps": 300, "train_batch_size": 8, "best_metric": None})
    assert found.parameters == {"max_steps": "300", "train_batch_size": "8"}


ODD = [
    "",
    "not JSON",
    "[1, 2]",
    "[" * 100_000,
    '{"log_history": 7}',
    '{"log_history": {"loss": 1}}',
    '{"log_history": [7, null, "x"]}',
    '{"log_history": [{"step": "ten", "loss": 1}]}',
    '{"log_history": [{"step": 1, "loss": NaN}]}',
    '{"log_history": [{"step": 1, "loss": 1e999}]}',
    '{"log_history": [{"step": 1, "loss": "low"}]}',
    '{"log_history": [{"step": 1, "loss": true}]}',
    f'{{"log_history": [{{"step": 1, "loss": {"9" * 400}}}]}}',
    '{"log_history": "loss"}',
]


@pytest.mark.parametrize("content", ODD)
def test_what_is_odd_is_nothing(tmp_path: Path, content: str) -> None:
    assert record(tmp_path, content) == TrainingRecord()


def test_a_missing_file_is_nothing(tmp_path: Path) -> None:
    assert read_training_record(tmp_path) == TrainingRecord()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "else.json").write_text('{"max_steps": 300}')
    (tmp_path / "trainer_state.json").symlink_to("else.json")
    assert read_training_record(tmp_path) == TrainingRecord()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "trainer_state.json")
    assert read_training_record(tmp_path) == TrainingRecord()


def test_a_directory_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").mkdir()
    assert read_training_record(tmp_path) == TrainingRecord()
