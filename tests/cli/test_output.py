"""How rows are laid out on a terminal and in a pipe, and what goes to which stream."""

import io
import json
from datetime import UTC, datetime

import pytest
from rich.console import Console

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


@pytest.mark.usefixtures("terminal")
def test_nothing_in_a_cell_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    bad = {"state": "\x1b[2Jheld", "reason": "one\ntwo \x07\u202e\udcff"}
    output.records(("state",), [bad], as_json=False, sentences=("reason",))
    found = capsys.readouterr().out
    assert "\\x1b[2Jheld" in found
    assert "reason: one two \\x07\\u202e\\udcff" in found


def test_what_is_drawn_live_is_on_the_screen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        output, "console", lambda **_: Console(file=screen, force_terminal=True, width=80)
    )
    with output.live() as draw:
        draw("the first")
        before = screen.getvalue()
    assert "the first" in before


def test_a_line_has_its_columns_below_one_another() -> None:
    assert output.aligned(("a", "", "c", "long one"), (3, 2, 2)) == "a        c   long one"


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


def test_a_tree_has_its_states_and_no_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    below = (output.Branch("a\x1b[31m"), output.Branch("b", state="running"))
    output.trees([output.Branch("top", below)])
    assert capsys.readouterr().out.splitlines() == ["top", "├── a\\x1b[31m", "└── running b"]
