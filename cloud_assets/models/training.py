"""What the trainer wrote down about a run, from `trainer_state.json`; missing or odd is nothing."""

import json
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

TRAINER_STATE = "trainer_state.json"
MAX_BYTES = 50_000_000
PARAMETERS = ("max_steps", "num_train_epochs", "train_batch_size", "logging_steps", "save_steps")


@dataclass(frozen=True)
class TrainingRecord:
    """`history` as (name, step, value), `parameters` as text; HF Trainer's `trainer_state.json`."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    history: tuple[tuple[str, int, float], ...] = ()


def read_training_record(directory: Path) -> TrainingRecord:
    """The record of one checkpoint; empty when the file is gone or is not what it should be."""
    try:
        state = json.loads(_content(directory / TRAINER_STATE))
    except (OSError, ValueError, RecursionError):
        return TrainingRecord()
    return _record(state) if isinstance(state, dict) else TrainingRecord()


def _content(path: Path) -> bytes:
    """The bytes of a plain file, opened without waiting for a pipe's other end.

    Raises OSError; ValueError for what is no plain file or too large.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise ValueError(f"{path} is no plain file of a trainer")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(MAX_BYTES)
    finally:
        os.close(descriptor)


def _record(state: Mapping[str, Any]) -> TrainingRecord:
    entries = state.get("log_history")
    logged = [each for each in entries if isinstance(each, dict)] if _is_list(entries) else []
    return TrainingRecord(
        parameters={name: str(state[name]) for name in PARAMETERS if name in state},
        history=tuple(
            (str(name)[:250], entry["step"], float(value))
            for entry in logged
            if _is_step(entry.get("step"))
            for name, value in entry.items()
            if name != "step" and _is_figure(value)
        ),
    )


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _is_step(value: object) -> bool:
    """The registry keeps steps as 64-bit numbers."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _is_figure(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
