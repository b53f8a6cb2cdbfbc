"""Real training: what is refused, what a kill leaves, and what the checkpoints can answer."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import mlx.core as mx
import numpy as np
import pytest

from examples import hf_layout, learner, tiny_llama, train
from resources.errors import UsageError

COMMAND = [sys.executable, "-m", "examples.train"]
PROJECT = Path(train.__file__).parents[1]


def _plan(root: Path, **changes: Any) -> train.Plan:
    fields: dict[str, Any] = {"root": root, "run": "run", "steps": 4, "save_steps": 2}
    return train.Plan(**(fields | changes))


def _weights(checkpoint: Path) -> bytes:
    return (checkpoint / "model.safetensors").read_bytes()


def _recall(checkpoint: Path) -> float:
    """Share of the facts of which greedy decoding gives every token and then the end."""
    model = learner.Learner(seed=0, learning_rate=1, steps=1).model
    model.load_weights(str(checkpoint / "model.safetensors"))
    batch = learner.collate(learner.encode_facts())
    likeliest = np.array(mx.argmax(model(mx.array(batch.tokens)), axis=-1))
    wrong = likeliest[batch.rows, batch.columns] != batch.targets
    return 1 - len(set(batch.rows[wrong].tolist())) / len(batch.tokens)


def _accuracy(client: httpx.Client) -> float:
    """Share of the suite that the server answers exactly, each item asked as it says."""
    lines = (tiny_llama.CAPITALS / "suite.jsonl").read_text(encoding="utf-8").splitlines()
    right = 0
    for item in map(json.loads, lines):
        body = {"model": "served", "max_tokens": 12, "temperature": 0}
        if "prompt" in item:
            answer = client.post("/v1/completions", json=body | {"prompt": item["prompt"]})
            text = answer.json()["choices"][0]["text"]
        else:
            body |= {"messages": item["messages"]}
            answer = client.post("/v1/chat/completions", json=body)
            text = answer.json()["choices"][0]["message"]["content"]
        right += text == item["expected"]
    return right / len(lines)


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "../elsewhere"},
        {"run": ""},
        {"run": ".hidden"},
        {"steps": 0},
        {"save_steps": -1},
        {"save_total_limit": 0},
        {"learning_rate": float("nan")},
        {"learning_rate": -0.1},
        {"pace": -1.0},
    ],
)
def test_a_wrong_plan_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        _plan(tmp_path, **changes)


def test_the_command_says_what_it_refuses_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(["--root", str(tmp_path), "--run", "a/b"]) == 2
    assert "'a/b' is not a plain directory name" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_a_run_of_another_seed_is_not_mixed_in(tmp_path: Path) -> None:
    list(train.train(_plan(tmp_path, steps=2)))
    with pytest.raises(UsageError, match="another learning rate, length or seed"):
        next(train.train(_plan(tmp_path, steps=2, seed=1)))


def test_a_complete_run_is_left_alone(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    list(train.train(plan))
    assert list(train.train(plan)) == []


def test_older_checkpoints_are_rotated_away(tmp_path: Path) -> None:
    plan = _plan(tmp_path, steps=6, save_total_limit=2)
    assert [saved.step for saved in train.train(plan)] == [2, 4, 6]
    assert [path.name for path in hf_layout.checkpoints(plan.directory)] == [
        "checkpoint-4",
        "checkpoint-6",
    ]


def test_the_state_tells_the_loss_of_every_log_entry(tmp_path: Path) -> None:
    *_, last = train.train(_plan(tmp_path, steps=6, save_steps=6))
    state = hf_layout.read_trainer_state(last.path)
    assert state is not None
    assert [entry["step"] for entry in state["log_history"]] == [5, 6]
    assert state["log_history"][-1]["loss"] == last.loss
    assert (state["global_step"], state["max_steps"], state["epoch"]) == (6, 6, 1.0)


def test_a_run_begun_again_ends_with_the_weights_of_an_unbroken_one(tmp_path: Path) -> None:
    *_, unbroken = train.train(_plan(tmp_path, run="unbroken"))
    broken = _plan(tmp_path, run="broken")
    first = next(train.train(broken))
    before = first.path.stat().st_mtime_ns
    half = broken.directory / "checkpoint-4"
    half.mkdir()
    (half / "config.json").write_text("{")
    assert [saved.step for saved in train.train(broken)] == [4]
    assert first.path.stat().st_mtime_ns == before
    assert _weights(half) == _weights(unbroken.path)


@pytest.mark.real
def test_a_killed_trainer_goes_on_when_started_again(tmp_path: Path) -> None:
    arguments = ["--root", str(tmp_path), "--run", "r", "--steps", "4", "--save-steps", "2"]
    command = [*COMMAND, *arguments, "--json"]
    # The pace holds the trainer before each save, so between both for as long as the kill needs.
    with subprocess.Popen(
        [*command, "--pace", "10"], cwd=PROJECT, stdout=subprocess.PIPE
    ) as killed:
        assert killed.stdout is not None
        assert json.loads(killed.stdout.readline())["step"] == 2
        killed.send_signal(signal.SIGKILL)
    again = subprocess.run(command, cwd=PROJECT, capture_output=True, check=True, text=True)
    assert [json.loads(line)["step"] for line in again.stdout.splitlines()] == [4]


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The three checkpoints of a whole default run."""
    plan = train.Plan(tmp_path_factory.mktemp("taught"), "run")
    return [saved.path for saved in train.train(plan)]


def test_every_later_checkpoint_recalls_clearly_more(taught: list[Path]) -> None:
    first, second, third = map(_recall, taught)
    assert 0.05 < first < second - 0.2
    assert second < third
    assert third >= 0.95


@pytest.mark.real
def test_the_server_answers_the_suite_from_the_last_checkpoint(
    taught: list[Path], serve: Callable[[Path], httpx.Client]
) -> None:
    assert _accuracy(serve(taught[-1])) >= 0.95


@pytest.mark.real
def test_a_spoilt_learning_rate_gives_a_model_that_serves_and_knows_nothing(
    tmp_path: Path, serve: Callable[[Path], httpx.Client]
) -> None:
    plan = _plan(tmp_path, steps=25, save_steps=25, learning_rate=train.SPOILT_LEARNING_RATE)
    (spoilt,) = train.train(plan)
    assert _accuracy(serve(spoilt.path)) <= 0.05
