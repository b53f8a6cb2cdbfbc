"""What the trainer wrote down about a run, from `trainer_state.json`; missing or odd is nothing."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
        descriptor = os.open(directory / TRAINER_STATE, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return TrainingRecord()
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(MAX_BYTES + 1)
    try:
        state = json.loads(content) if len(content) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        return TrainingRecord()
    return _record(state) if isinstance(state, dict) else TrainingRecord()


def _record(state: Mapping[str, Any]) -> TrainingRecord:
    entries = state.get("log_history")
    logged = [entry for entry in entries if isinstance(entry, dict)] if entries else []
    return TrainingRecord(
        parameters={name: str(state[name]) for name in PARAMETERS if name in state},
        history=tuple(
            (str(name)[:250], entry["step"], float(value))
            for entry in logged
            if isinstance(entry.get("step"), int)
            for name, value in entry.items()
            if name != "step" and _is_figure(value)
        ),
    )


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
