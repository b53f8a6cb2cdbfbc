"""How rows are laid out on a terminal and in a pipe, and what goes to which stream."""

import json
from datetime import UTC, datetime

import pytest

from cloud_assets.cli import output
from resources.errors import PermanentError, UsageError


def test_in_a_pipe_every_row_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("checkpoint", "reason"), [("model.run.75", "a long reason " * 50)])
    assert any("model.run.75" in line and line.count("reason") == 50 for line in _lines(capsys))


def test_no_row_loses_its_name_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "PIPE_WIDTH", 40)
    output.table(("checkpoint", "reason"), [("a-model.a-long-run.75", "a long reason " * 50)])
    assert any("a-model.a-long-run.75" in line for line in _lines(capsys))


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


ROWS: list[dict[str, str | None]] = [
    {"checkpoint": "qa.run.100", "state": "held", "reason": "long words " * 30, "fix": "wait"},
    {"checkpoint": "qa.run.20000", "state": "serving", "reason": "", "fix": None},
]


def _told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    output.records(("checkpoint", "state"), ROWS, as_json=False, sentences=("reason", "fix"))
    return _lines(capsys)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns without colour."""
    for name, value in (("TTY_COMPATIBLE", "1"), ("NO_COLOR", "1"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_sentences_stand_below_their_row(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.rstrip() for line in _told(capsys)]
    assert [line for line in lines if not line.startswith("  ")] == [
        "checkpoint    state",
        "qa.run.100    held",
        "qa.run.20000  serving",
    ]
    assert lines[2].startswith("  reason: long words")
    assert lines[-2] == "  fix: wait"


@pytest.mark.usefixtures("terminal")
def test_no_word_of_a_sentence_is_lost_and_no_line_too_wide(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = _told(capsys)
    assert sum(line.count("words") for line in lines) == 30
    assert max(map(len, lines)) <= 80


def test_in_a_pipe_sentences_are_columns(capsys: pytest.CaptureFixture[str]) -> None:
    [row] = [line for line in _told(capsys) if "qa.run.100 " in line]
    assert row.count("words") == 30
    assert row.rstrip().endswith("wait")


def test_json_has_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    output.records(("checkpoint",), ROWS, as_json=True, sentences=("reason",))
    assert json.loads(capsys.readouterr().out) == ROWS


def test_moments_are_told_in_local_time(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    output.records(("since",), [{"since": moment}], as_json=False)
    assert moment.astimezone().strftime("%H:%M:%S") in capsys.readouterr().out


def test_notes_and_errors_are_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    output.note("by the way")
    output.error(PermanentError("the store", "write it", "the disk is full", hint="free some"))
    found = capsys.readouterr()
    assert (found.out, found.err) == (
        "",
        "by the way\nerror: the store could not write it: the disk is full\n\nhint: free some\n",
    )


def test_without_a_hint_there_is_no_empty_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.error(UsageError("no such thing"))
    assert capsys.readouterr().err == "error: no such thing\n"
