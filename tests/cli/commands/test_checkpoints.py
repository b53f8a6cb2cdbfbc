"""`ai-how checkpoints --watch`: what is told of each change, where, and how it ends."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cloud_assets.cli import output
from cloud_assets.cli.commands.checkpoints import follow
from cloud_assets.cli.progress import Progress
from resources.errors import TransientError
from tests.doubles.loopback import Exchange, LoopbackServer

REPOSITORY = Path(__file__).parents[3]
WAITING = Progress("qa.run.100", "checkpoint", "waiting", "no weights", "wait", since=1e9)
SERVING = Progress("qa.run.100", "release", "serving")
OTHER = Progress("qa.run.200", "queue", "waiting")
AWAY = TransientError("Dagster", "answer", "it is being restarted")

Reading = tuple[Progress, ...] | TransientError


def reads(*readings: Reading) -> Callable[[], tuple[Progress, ...]]:
    """One after the other, then Ctrl-C."""
    left = iter(readings)

    def read() -> tuple[Progress, ...]:
        found = next(left, None)
        if found is None:
            raise KeyboardInterrupt
        if isinstance(found, TransientError):
            raise found
        return found

    return read


def followed(*readings: Reading, as_json: bool) -> None:
    with suppress(KeyboardInterrupt):
        follow(reads(*readings), as_json=as_json, poll_seconds=0)


def documents(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def said(found: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["checkpoint"], each["state"]) for each in found]


def test_a_platform_that_is_away_at_first_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TransientError):
        follow(reads(AWAY), as_json=False, poll_seconds=0)
    assert capsys.readouterr().out == ""


def test_one_that_is_away_later_is_told_once_and_asked_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    followed((WAITING,), AWAY, AWAY, (SERVING,), as_json=True)
    found = capsys.readouterr()
    assert said(documents(found.out)) == [("qa.run.100", "waiting"), ("qa.run.100", "serving")]
    assert found.err == f"{AWAY}; asking again\n"


def test_every_outage_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    followed((), AWAY, (), AWAY, as_json=True)
    assert capsys.readouterr().err.count("asking again") == 2


def test_json_is_one_document_a_line_and_change(capsys: pytest.CaptureFixture[str]) -> None:
    followed((WAITING, OTHER), (WAITING, OTHER), (SERVING, OTHER), as_json=True)
    found = documents(capsys.readouterr().out)
    assert said(found) == [
        ("qa.run.100", "waiting"),
        ("qa.run.200", "waiting"),
        ("qa.run.100", "serving"),
    ]
    assert found[0]["reason"] == "no weights"


def test_a_file_that_grows_is_no_change(capsys: pytest.CaptureFixture[str]) -> None:
    followed((WAITING,), (replace(WAITING, since=2e9),), as_json=True)
    assert len(documents(capsys.readouterr().out)) == 1


def test_one_that_is_gone_is_told_once_and_again_when_it_is_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    followed((WAITING,), (), (), (WAITING,), as_json=True)
    found = said(documents(capsys.readouterr().out))
    assert [state for _, state in found] == ["waiting", "gone", "waiting"]


def test_in_a_pipe_each_change_is_one_line_below_one_heading(
    capsys: pytest.CaptureFixture[str],
) -> None:
    followed((replace(WAITING, reason="a\n\x1b[2J"),), (SERVING,), as_json=False)
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["checkpoint", "stage", "state", "since", "reason", "fix"]
    assert [line.split()[:3] for line in lines] == [
        ["qa.run.100", "checkpoint", "waiting"],
        ["qa.run.100", "release", "serving"],
    ]
    assert lines[0].index("checkpoint") == heading.index("stage")
    assert lines[0].endswith("a \\x1b[2J  wait")


def test_on_a_terminal_the_table_is_drawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100, height=20)
    monkeypatch.setattr(output, "console", lambda **_: terminal)
    followed((SERVING, OTHER), (SERVING,), as_json=False)
    first, _, _ = screen.getvalue().rpartition("checkpoint")
    assert "reason" not in first
    # What is under way stands above what is settled.
    assert first.index("qa.run.200") < first.index("qa.run.100")
    assert "\x1b[1A" in screen.getvalue()


class Dagster(Exchange):
    """A webserver of a platform in which nothing ever ran."""

    def do_POST(self) -> None:
        self.body()
        nothing = {"__typename": "None", "results": []}
        data = {"runsOrError": nothing, "assetOrError": nothing}
        self.answer(json.dumps({"data": data}).encode())


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "runs" / "run" / "checkpoint-1").mkdir(parents=True)
    file = tmp_path / "cluster.yaml"
    with LoopbackServer(Dagster) as server:
        file.write_text(
            f"platform:\n  ports: {{dagster: {server.port}, mlflow: 2, gateway: 3}}\n"
            "  roots: [{path: runs, model: qa}]\n"
        )
        yield file


@pytest.mark.real
def test_ctrl_c_ends_it_without_a_word(cluster: Path) -> None:
    command = [sys.executable, "-m", "cloud_assets.cli.main", "checkpoints", "--watch", "--json"]
    environment = {**os.environ, "AI_HOW_CLUSTER": str(cluster), "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        command, env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        first = json.loads(watching.stdout.readline())
        watching.send_signal(signal.SIGINT)
        _, said_last = watching.communicate(timeout=60)
    assert (first["checkpoint"], first["state"]) == ("qa.run.1", "waiting")
    assert (watching.returncode, said_last) == (130, "")
