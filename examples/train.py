"""Train the tiny Llama on the capitals and leave checkpoints as the Hugging Face Trainer does.

    python -m examples.train --root DIR --run NAME

Writes `DIR/NAME/checkpoint-N/`. The whole run follows from its seed: killed and started again it
learns from the first step on and writes only what comes after the newest complete checkpoint.
Complete ones are left untouched, an incomplete one is removed and written again.
"""

import argparse
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from examples import hf_layout, tiny_llama
from resources.errors import UsageError

if TYPE_CHECKING:
    from examples.learner import Progress

STEPS = 75
SAVE_STEPS = 25
LEARNING_RATE = 0.006
# Finite weights that load and answer, and know none of the capitals.
SPOILT_LEARNING_RATE = 0.1

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Plan:
    """One run: where it goes, how long it is, and all that its weights follow from."""

    root: Path
    run: str
    steps: int = STEPS
    save_steps: int = SAVE_STEPS
    save_total_limit: int | None = None
    learning_rate: float = LEARNING_RATE
    seed: int = 0
    pace: float = 0.0

    def __post_init__(self) -> None:
        if not RUN_NAME.fullmatch(self.run):
            raise UsageError(
                f"the run name {self.run!r} is not a plain directory name",
                hint="use letters, digits, dots, hyphens and underscores",
            )
        counts = (self.steps, self.save_steps, self.save_total_limit)
        if any(count is not None and count < 1 for count in counts):
            raise UsageError("steps, save steps and save total limit must be at least 1")
        if not 0 < self.learning_rate < float("inf"):
            raise UsageError(f"the learning rate {self.learning_rate} is not a positive number")
        if not 0 <= self.pace < float("inf"):
            raise UsageError(f"the pace {self.pace} is not a number of seconds")

    @property
    def directory(self) -> Path:
        """The run's directory; its checkpoints are right below."""
        return self.root / self.run

    @property
    def origin(self) -> dict[str, float | int]:
        """What decides the weights of every step; kept in each checkpoint."""
        return {"learning_rate": self.learning_rate, "max_steps": self.steps, "seed": self.seed}


@dataclass(frozen=True)
class Saved:
    """One checkpoint on disk and the mean training loss since the log entry before."""

    step: int
    loss: float
    path: Path


class TrainingLog:
    """The loss as the Trainer keeps it: one entry every few steps, the mean since the last."""

    def __init__(self, schedule: hf_layout.Schedule) -> None:
        self.entries: list[dict[str, float | int]] = []
        self._schedule = schedule
        self._losses: list[float] = []

    def add(self, step: int, progress: "Progress") -> None:
        """Take one step in; it closes an entry where the schedule says so or a save is due."""
        self._losses.append(progress.loss)
        schedule = self._schedule
        if step % schedule.logging_steps and not schedule.saves_at(step):
            return
        entry = {
            "epoch": step / schedule.steps_per_epoch,
            "grad_norm": progress.gradient_norm,
            "learning_rate": progress.learning_rate,
            "loss": sum(self._losses) / len(self._losses),
            "step": step,
        }
        self.entries.append(entry)
        self._losses = []


def train(plan: Plan) -> Iterator[Saved]:
    """Learn, and yield each checkpoint once it is complete on disk and older ones are rotated.

    Raises UsageError, before anything is written, when the run's directory holds complete
    checkpoints of another plan.
    """
    done = prepare(plan)
    if done >= plan.steps:
        return
    # mlx takes two seconds to import; a refused plan is refused at once.
    from examples import learner

    model = learner.Learner(seed=plan.seed, learning_rate=plan.learning_rate, steps=plan.steps)
    schedule = hf_layout.Schedule(
        max_steps=plan.steps,
        save_steps=plan.save_steps,
        steps_per_epoch=learner.steps_per_epoch(),
        batch_size=learner.BATCH,
    )
    log, batches, saved_at = TrainingLog(schedule), learner.batches(plan.seed), time.monotonic()
    for step in range(1, plan.steps + 1):
        log.add(step, model.step(next(batches)))
        if step > done and schedule.saves_at(step):
            time.sleep(max(0.0, saved_at + plan.pace - time.monotonic()))
            state = hf_layout.trainer_state(
                step, schedule, log_history=log.entries, trial_params=plan.origin
            )
            yield save(plan, weights=model.weights(), state=state)
            saved_at = time.monotonic()


def prepare(plan: Plan) -> int:
    """Remove what a killed run left half written; the step of the newest complete checkpoint.

    Raises UsageError when a complete one came of another plan.
    """
    steps = [0]
    for directory in hf_layout.checkpoints(plan.directory):
        state = hf_layout.read_trainer_state(directory)
        if state is None:
            shutil.rmtree(directory)
        elif state.get("trial_params") != plan.origin:
            raise UsageError(
                f"{directory} came of another learning rate, length or seed",
                hint="choose another --run, or remove the old run",
            )
        else:
            steps.append(state["global_step"])
    return max(steps)


def save(plan: Plan, *, weights: hf_layout.Weights, state: Mapping[str, Any]) -> Saved:
    """Write one checkpoint, then rotate."""
    path = plan.directory / f"checkpoint-{state['global_step']}"
    hf_layout.write_full(path, tiny_llama.model_files(), weights=weights, state=state)
    if plan.save_total_limit is not None:
        hf_layout.rotate(plan.directory, keep=plan.save_total_limit)
    return Saved(state["global_step"], state["log_history"][-1]["loss"], path)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when the run is complete on disk, 2 when it was refused."""
    given = vars(_parser().parse_args(arguments))
    as_json = given.pop("json")
    try:
        for saved in train(Plan(**given)):
            _report(saved, as_json=as_json)
    except UsageError as error:
        print(f"error: {error}" + (f" ({error.hint})" if error.hint else ""), file=sys.stderr)
        return 2
    return 0


def _report(saved: Saved, *, as_json: bool) -> None:
    if as_json:
        line = {"step": saved.step, "loss": saved.loss, "checkpoint": str(saved.path)}
        print(json.dumps(line), flush=True)
    else:
        print(f"step {saved.step}  loss {saved.loss:.3f}  {saved.path}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.train", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--root", type=Path, required=True, help="directory that holds runs")
    add("--run", required=True, help="name of the run and of its directory")
    add("--steps", type=int, default=STEPS, help="optimizer steps (default: %(default)s)")
    add(
        "--save-steps", type=int, default=SAVE_STEPS, help="steps between checkpoints (%(default)s)"
    )
    add("--save-total-limit", type=int, help="checkpoints kept; older ones are removed (all)")
    add("--learning-rate", type=float, default=LEARNING_RATE, help="at the start (%(default)s)")
    add("--seed", type=int, default=0, help="of weights and order of facts (%(default)s)")
    add("--pace", type=float, default=0.0, help="least seconds between two saves (%(default)s)")
    add("--json", action="store_true", help="one JSON object a checkpoint on standard output")
    return parser


if __name__ == "__main__":
    sys.exit(main())
