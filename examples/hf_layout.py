"""Which files a Hugging Face checkpoint holds and the order in which the Trainer writes them.

The order is that of transformers 5.23 with safetensors 0.8, read off with strace: `config.json`
first, the weights by rename, `trainer_state.json` last. What the files say is left to the caller.
"""

import json
import math
import pickle
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

Weights = Mapping[str, npt.NDArray[np.float32] | npt.NDArray[np.float16]]

_NAME = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class ModelFiles:
    """The files of a checkpoint that do not change from step to step."""

    config: Mapping[str, Any]
    generation_config: Mapping[str, Any]
    chat_template: str
    tokenizer_config: Mapping[str, Any]
    tokenizer_json: str


@dataclass(frozen=True)
class Schedule:
    """How long a run is and how often it logs and saves, in optimizer steps."""

    max_steps: int
    save_steps: int
    logging_steps: int = 5
    steps_per_epoch: int = 1
    batch_size: int = 1

    def saves_at(self, step: int) -> bool:
        """Whether the Trainer saves after `step`: every `save_steps`, and at the end."""
        return step % self.save_steps == 0 or step == self.max_steps


def trainer_state(
    step: int,
    schedule: Schedule,
    *,
    log_history: Sequence[Mapping[str, Any]] = (),
    trial_params: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of `trainer_state.json` at `step`, with the fields of transformers 5."""
    return {
        "best_global_step": None,
        "best_metric": None,
        "best_model_checkpoint": None,
        "epoch": step / schedule.steps_per_epoch,
        "eval_steps": 500,
        "global_step": step,
        "is_hyper_param_search": False,
        "is_local_process_zero": True,
        "is_world_process_zero": True,
        "log_history": list(log_history),
        "logging_steps": schedule.logging_steps,
        "max_steps": schedule.max_steps,
        "num_input_tokens_seen": 0,
        "num_train_epochs": math.ceil(schedule.max_steps / schedule.steps_per_epoch),
        "save_steps": schedule.save_steps,
        "stateful_callbacks": {},
        "total_flos": 0.0,
        "train_batch_size": schedule.batch_size,
        "trial_name": None,
        "trial_params": trial_params,
    }


def write_full(
    directory: Path, files: ModelFiles, *, weights: Weights, state: Mapping[str, Any]
) -> None:
    """Write a checkpoint of a full model. Raises FileExistsError when `directory` exists."""
    directory.mkdir(parents=True)
    _write_json(directory / "config.json", files.config)
    _write_json(directory / "generation_config.json", files.generation_config)
    _write_weights(directory / "model.safetensors", weights)
    _write_tokenizer(directory, files)
    _write_trainer(directory, state)


def write_lora(
    directory: Path,
    files: ModelFiles,
    *,
    adapter: tuple[Mapping[str, Any], Weights],
    state: Mapping[str, Any],
) -> None:
    """Write a checkpoint of an adapter, its configuration and weights, in PEFT's order.

    Raises FileExistsError when `directory` exists.
    """
    config, weights = adapter
    directory.mkdir(parents=True)
    card = f"---\nbase_model: {config['base_model_name_or_path']}\nlibrary_name: peft\n---\n"
    (directory / "README.md").write_text(card, encoding="utf-8")
    _write_weights(directory / "adapter_model.safetensors", weights)
    _write_json(directory / "adapter_config.json", config)
    _write_tokenizer(directory, files)
    _write_trainer(directory, state)


def _write_tokenizer(directory: Path, files: ModelFiles) -> None:
    (directory / "chat_template.jinja").write_text(files.chat_template, encoding="utf-8")
    _write_json(directory / "tokenizer_config.json", files.tokenizer_config)
    (directory / "tokenizer.json").write_text(files.tokenizer_json, encoding="utf-8")


def _write_trainer(directory: Path, state: Mapping[str, Any]) -> None:
    # Pickles as the Trainer leaves them, small, because no publisher may ever take them along.
    for name in ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (directory / name).write_bytes(pickle.dumps({"global_step": state["global_step"]}))
    _write_json(directory / "trainer_state.json", state)


def _write_weights(path: Path, weights: Weights) -> None:
    save_file(dict(weights), path, metadata={"format": "pt"})


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def checkpoints(run: Path) -> list[Path]:
    """The checkpoint directories of a run, complete or not, by step."""
    found = {path: _NAME.fullmatch(path.name) for path in run.glob("checkpoint-*") if path.is_dir()}
    steps = {path: int(match[1]) for path, match in found.items() if match}
    return sorted(steps, key=lambda path: steps[path])


def read_trainer_state(directory: Path) -> dict[str, Any] | None:
    """The last file of a checkpoint; None when it is not there or cut short."""
    try:
        state: dict[str, Any] = json.loads((directory / "trainer_state.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return state


def rotate(run: Path, *, keep: int) -> list[Path]:
    """Remove all but the newest `keep` checkpoints, oldest first; the removed ones.

    By the directories' modification times and file by file, as the Trainer does it.
    """
    found = sorted(checkpoints(run), key=lambda path: path.stat().st_mtime_ns)
    stale = found[: max(0, len(found) - keep)]
    for directory in stale:
        shutil.rmtree(directory, ignore_errors=True)
    return stale
