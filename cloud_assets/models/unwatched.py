"""Says what stands below a root that is no `checkpoint-N` and why it is not taken, for a listing.

The watch never asks: nothing of this is requested. Only names are read, with one scandir a run and
one more where a name promises another trainer's pieces. `scan` lists what is taken.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cloud_assets.models.contents import quoted
from cloud_assets.models.layout import MERGES, READABLE, SERVABLE, Layout, classify
from cloud_assets.models.scan import PREFIX, run_directories

VERL_STEP = "global_step_"
# Where Oumi lets verl write.
VERL_OUTPUT = "verl_output"


@dataclass(frozen=True, slots=True)
class Unwatched:
    """One row; `place` is fit for a table. `waiting` for a checkpoint, `refused`, or `ignored`."""

    place: str
    layout: Layout
    state: str
    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class _Run:
    """The names in a run's directory."""

    path: Path
    files: frozenset[str]
    directories: frozenset[str]

    @property
    def place(self) -> str:
        return quoted(self.path.name)

    @property
    def has_checkpoints(self) -> bool:
        return any(name.startswith(PREFIX) for name in self.directories)


def list_unwatched(root: Path) -> Iterator[Unwatched]:
    """A row for whatever a run holds beside its `checkpoint-N`, or for a run without any.

    A run that vanished meanwhile, or that `scan.list_run` tells as unreadable, is left out. Raises
    as `scan.run_directories` does.
    """
    for entry in run_directories(root):
        try:
            run = _read(root / entry.name)
        except OSError:
            continue
        yield from _rows(run)


def _read(directory: Path) -> _Run:
    files, directories = set(), set()
    with os.scandir(directory) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                directories.add(entry.name)
            elif entry.is_file(follow_symlinks=False):
                files.add(entry.name)
    return _Run(directory, frozenset(files), frozenset(directories))


def _rows(run: _Run) -> list[Unwatched]:
    if run.path.name.startswith((PREFIX, VERL_STEP)):
        reason = "it stands in the root itself, not in a run"
        fix = "set the root one level higher, to the directory that holds the runs"
        return [Unwatched(run.place, Layout.UNKNOWN, "refused", reason, fix)]
    rows = [*_verl_steps(run.place, run), *_verl_output(run), *_in_place(run)]
    if rows or run.has_checkpoints:
        return rows
    reason = "no checkpoint yet"
    fix = "nothing while it trains; checkpoints are looked for as ROOT/RUN/checkpoint-N, no deeper"
    return [Unwatched(run.place, Layout.UNKNOWN, "waiting", reason, fix)]


def _verl_steps(place: str, run: _Run) -> Iterator[Unwatched]:
    for name in run.directories:
        if name.startswith(VERL_STEP):
            yield _unmerged(f"{place}/{quoted(name)}", Layout.VERL)


def _verl_output(run: _Run) -> Iterator[Unwatched]:
    if VERL_OUTPUT in run.directories:
        try:
            yield from _verl_steps(f"{run.place}/{VERL_OUTPUT}", _read(run.path / VERL_OUTPUT))
        except PermissionError:
            yield _closed(run, VERL_OUTPUT)
        except OSError:
            return


def _in_place(run: _Run) -> Iterator[Unwatched]:
    """What the trainer left in the run's root, where it is overwritten or written once."""
    # Names that say something inside a checkpoint only.
    layout = classify(run.files - {"latest"}, run.directories - {"actor"})
    if layout in SERVABLE:
        yield _final_model(run, layout)
    elif layout == Layout.OUMI_DCP:
        yield from _oumi(run)
    elif layout in MERGES:
        yield _unmerged(run.place, layout)


def _oumi(run: _Run) -> Iterator[Unwatched]:
    try:
        model = _read(run.path / "model")
    except PermissionError:
        yield _closed(run, "model")
    except OSError:
        return
    else:
        if any(name == ".metadata" or name.endswith(".distcp") for name in model.files):
            yield _unmerged(run.place, Layout.OUMI_DCP)


def _unmerged(place: str, layout: Layout) -> Unwatched:
    reason = f"needs a merge: {layout}"
    fix = MERGES[layout]
    if layout == Layout.VERL:
        fix += " into checkpoint-N of the run, then write trainer_state.json there"
    return Unwatched(place, layout, "refused", reason, fix)


def _final_model(run: _Run, layout: Layout) -> Unwatched:
    if run.has_checkpoints:
        reason = (
            "its checkpoints are published, the final model in the run's root is not: "
            "its name has no step"
        )
        fix = (
            "nothing where the last checkpoint-N has the same weights; else copy it to "
            "checkpoint-STEP, trainer_state.json last"
        )
    else:
        reason = "the final model in the run's root is not published: its name has no step"
        fix = "save checkpoints, or copy it to checkpoint-STEP, trainer_state.json last"
    return Unwatched(run.place, layout, "ignored", reason, fix)


def _closed(run: _Run, name: str) -> Unwatched:
    reason = f"the directory {name} is unreadable"
    return Unwatched(run.place, Layout.UNKNOWN, "waiting", reason, READABLE)
