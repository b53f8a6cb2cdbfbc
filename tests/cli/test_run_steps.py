"""Following a run: a line for each thing that it says, its retries, and whoever loses patience."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from cloud_assets.cli.run_steps import Ended, Steps, follow, require_success
from cloud_assets.stages import POWER_JOB
from resources.dagster.graphql import DagsterGraphQL, Run
from resources.dagster.run_log import Failed, Page, Said
from resources.errors import PermanentError, TransientError

RUN = Run("first", "STARTED", POWER_JOB, 0.0, 0.0, None, {}, ())
AWAY = TransientError("Dagster", "answer", "it is started again")


def line(text: str, moment: float = 0.0, level: str = "INFO") -> Said:
    return Said("LogMessageEvent", text, level, "power", moment)


@dataclass
class Graph(DagsterGraphQL):
    """Answers one look after the other; `pages` are the logs by run, a page a look."""

    looks: list[Run | BaseException]
    pages: dict[str, list[Page]] = field(default_factory=dict)
    others: Sequence[Run] = ()
    url: str = "http://dagster"

    def run(self, run_id: str) -> Run | None:
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(found, BaseException):
            raise found
        return found

    def log(self, run_id: str, after: str | None = None) -> Page:
        pages = self.pages.get(run_id, [])
        return pages.pop(0) if pages else Page((), after)

    def runs(self, **_: object) -> tuple[Run, ...]:
        return tuple(self.others)

    def failed(self, run_id: str) -> Failed:
        return Failed("the host could not start it: no room", "free some")


def followed(graph: Graph) -> Ended:
    return follow(graph, "first", poll_seconds=0.001)


DONE = replace(RUN, status="SUCCESS")


def test_each_thing_is_told_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    given = Said("ExecutionStepOutputEvent", "", "", "power", 0.0, {"outcome": {"left": {}}})
    pages = [
        Page((line("a: start"), line("a: hidden", level="DEBUG")), "1", has_more=True),
        Page((line("b: stop", 1.0),), "2"),
        Page((line("a: ssh", 34.2), given), "3"),
    ]
    ended = followed(Graph([RUN, DONE], {"first": pages}))
    assert ended.given == {"outcome": {"left": {}}}
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == ["a: start", "b: stop", "a: ssh (34 s)"]


def test_what_repeats_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps()
    for moment in (0.0, 1.0, 2.0):
        steps.tell("a: drain waits: a job", moment)
    steps.tell("a: stop", 5.0)
    assert capsys.readouterr().err.splitlines() == ["a: drain waits: a job", "a: stop (5 s)"]


def test_a_run_that_dagster_does_once_more_is_followed(capsys: pytest.CaptureFixture[str]) -> None:
    failed = replace(RUN, status="FAILURE")
    tags = {"dagster/will_retry": "true"}
    again = replace(failed, tags={**tags, "dagster/auto_retry_run_id": "second"})
    looks: list[Run | BaseException] = [
        failed, replace(failed, tags=tags), again, replace(DONE, run_id="second")
    ]  # fmt: skip
    pages = {"second": [Page((line("a: stop"),), "1")]}
    assert followed(Graph(looks, pages)).run.run_id == "second"
    assert "run second goes on\na: stop\n" in capsys.readouterr().err


def test_a_run_that_failed_for_good_is_over() -> None:
    failed = replace(RUN, status="FAILURE", tags={"dagster/will_retry": "false"})
    assert followed(Graph([failed])).run is failed


def test_an_interrupt_says_where_the_run_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        followed(Graph([RUN, KeyboardInterrupt()]))
    assert capsys.readouterr().err == "the run goes on: http://dagster/runs/first\n"


def test_a_webserver_that_is_away_for_a_moment_is_asked_again() -> None:
    assert followed(Graph([RUN, AWAY, AWAY, DONE])).run.status == "SUCCESS"


def test_a_webserver_that_stays_away_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cloud_assets.cli.run_steps._AWAY_SECONDS", 0.0)
    with pytest.raises(TransientError):
        followed(Graph([AWAY]))
    assert "the run goes on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ((), "it waits for Dagster's daemon"),
        ((replace(RUN, run_id="other"),), f"it waits for {POWER_JOB}, run other"),
    ],
)
def test_a_run_in_the_queue_says_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    others: Sequence[Run], told: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("cloud_assets.cli.run_steps._QUEUE_SECONDS", 0.0)
    queued = replace(RUN, status="QUEUED")
    followed(Graph([queued, queued, DONE], others=others))
    assert capsys.readouterr().err.count(told) == 1


def test_a_failure_has_its_reason_and_what_mends_it() -> None:
    ended = Ended(replace(RUN, status="FAILURE"), {})
    with pytest.raises(PermanentError, match=r"the graph could not start a: .*no room") as raised:
        require_success(Graph([RUN]), ended, "start a")
    assert raised.value.hint == "free some; the run: http://dagster/runs/first"
