"""The live table: a row a checkpoint, a column a stage; lines where nobody watches."""

import pytest
from rich.console import Console

from cloud_assets.cli.progress import Progress
from cloud_assets.cli.progress_table import HEADINGS, draw, watched
from cloud_assets.stages import STAGES
from resources.errors import TransientError

RUNNING = Progress("qa.run.100", "model_artifact", "running", seconds={"checkpoint": 0.42})
DONE = Progress("qa.run.100", "release", "held", "because", seconds={"checkpoint": 0.42})


def drawn(*rows: Progress) -> str:
    console = Console(width=200, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(draw(rows))
    return captured.get()


def test_there_is_a_column_for_every_stage() -> None:
    assert set(HEADINGS) == set(STAGES)


def test_an_ended_stage_shows_its_seconds_and_the_running_one_a_sign() -> None:
    row = next(line for line in drawn(RUNNING).splitlines() if "qa.run.100" in line)
    assert row.split() == ["qa.run.100", "0.4", "s", "…", "running"]


def test_a_settled_one_shows_outcome_and_reason() -> None:
    assert "held  because" in drawn(DONE)


def test_where_nobody_watches_each_change_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter([(RUNNING,), (RUNNING,), (DONE,)])
    with watched(lambda: next(answers)) as table:
        table.until(lambda rows: rows == (DONE,), patience=60)
    found = capsys.readouterr()
    assert (found.out, found.err.splitlines()) == (
        "",
        ["qa.run.100: model_artifact running", "qa.run.100: release held because"],
    )


def test_patience_ends_with_a_hint() -> None:
    with watched(lambda: (RUNNING,)) as table, pytest.raises(TransientError) as error:
        table.until(lambda rows: False, patience=0)
    assert "ai-how checkpoints" in (error.value.hint or "")
