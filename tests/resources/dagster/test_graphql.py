"""Asking the real webserver what ran, having it run something, and what is said when it cannot."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, closing

import pytest

from resources.dagster.graphql import DagsterGraphQL, Event, Run
from resources.dagster.run_log import Failed
from resources.errors import PermanentError, TransientError
from tests.doubles.loopback import Exchange, serving
from tests.resources.dagster.conftest import Waiting

Finished = Callable[[str], Run]


@pytest.fixture
def failed(graph: DagsterGraphQL, finished: Finished) -> Run:
    return finished(graph.submit("both"))


@pytest.mark.real
class TestRealWebserver:
    """Against the services of this folder."""

    def test_a_submitted_job_runs(self, graph: DagsterGraphQL, finished: Finished) -> None:
        assert finished(graph.submit("both", assets=["quick"])).status == "SUCCESS"

    def test_only_the_named_assets_run(self, graph: DagsterGraphQL, finished: Finished) -> None:
        run = finished(graph.submit("both", assets=["quick"]))
        assert [step.name for step in run.steps] == ["quick"]

    def test_steps_tell_when_they_ran(self, graph: DagsterGraphQL, finished: Finished) -> None:
        step = finished(graph.submit("both", assets=["quick"])).steps[0]
        assert step.started is not None
        assert step.ended is not None
        assert step.started <= step.ended

    def test_configuration_reaches_the_run(self, waiting: Callable[[], Waiting]) -> None:
        run = waiting()
        assert run.begun()

    def test_tags_reach_the_run(self, graph: DagsterGraphQL) -> None:
        run_id = graph.submit("both", assets=["quick"], tags={"ai-how/why": "a test"})
        run = graph.run(run_id)
        assert run is not None
        assert run.tags["ai-how/why"] == "a test"

    def test_runs_are_found_by_their_tags(self, graph: DagsterGraphQL) -> None:
        run_id = graph.submit("both", assets=["quick"], tags={"ai-how/who": "somebody"})
        assert [run.run_id for run in graph.runs(tags={"ai-how/who": "somebody"})] == [run_id]

    def test_the_newest_runs_come_first(self, graph: DagsterGraphQL) -> None:
        tags = {"ai-how/which": "order"}
        submitted = [graph.submit("both", assets=["quick"], tags=tags) for _ in range(3)]
        assert [run.run_id for run in graph.runs(tags=tags)] == submitted[::-1]

    def test_no_more_runs_come_than_were_asked_for(self, graph: DagsterGraphQL) -> None:
        tags = {"ai-how/which": "limit"}
        submitted = [graph.submit("both", assets=["quick"], tags=tags) for _ in range(2)]
        assert [run.run_id for run in graph.runs(tags=tags, limit=1)] == submitted[1:]

    def test_an_unknown_run_is_none(self, graph: DagsterGraphQL) -> None:
        assert graph.run("00000000-0000-0000-0000-000000000000") is None

    def test_an_unknown_job_is_refused_by_name(self, graph: DagsterGraphQL) -> None:
        with pytest.raises(PermanentError, match="no_such_job"):
            graph.submit("no_such_job")

    def test_an_unknown_asset_is_refused(self, graph: DagsterGraphQL) -> None:
        with pytest.raises(PermanentError, match="no_such_asset"):
            graph.submit("both", assets=["no_such_asset"])

    def test_wrong_configuration_is_refused(self, graph: DagsterGraphQL) -> None:
        with pytest.raises(PermanentError, match="unheard"):
            graph.submit("wait", config={"ops": {"waits": {"config": {"unheard": 1}}}})

    def test_the_innermost_cause_is_the_reason(self, graph: DagsterGraphQL, failed: Run) -> None:
        assert graph.failure(failed.run_id) == "fails: OSError: the disk is full"

    def test_a_failed_check_is_the_reason(self, graph: DagsterGraphQL, finished: Finished) -> None:
        run = finished(graph.submit("check"))
        assert graph.failure(run.run_id) == "it rings hollow"

    def test_a_failure_says_what_would_mend_it(
        self, graph: DagsterGraphQL, finished: Finished
    ) -> None:
        run = finished(graph.submit("refuse"))
        assert graph.failed(run.run_id) == Failed("the door is locked", "`unlock`")

    def test_the_log_goes_on_where_it_was_left(
        self, graph: DagsterGraphQL, finished: Finished
    ) -> None:
        run = finished(graph.submit("say"))
        page = graph.log(run.run_id)
        said = [each.text for each in page.said if each.kind == "LogMessageEvent"]
        assert said == ["one: begun", "one: a detail", "one: done"]
        given = [each.metadata for each in page.said if each.kind == "ExecutionStepOutputEvent"]
        assert given == [{"outcome": {"one": "done"}}]
        assert graph.log(run.run_id, page.cursor).said == ()

    def test_the_log_of_an_unknown_run_is_empty(self, graph: DagsterGraphQL) -> None:
        assert graph.log("00000000-0000-0000-0000-000000000000").said == ()

    def test_an_asset_without_events_has_none(self, graph: DagsterGraphQL) -> None:
        assert graph.events("no_such_asset") == ()

    def test_metadata_comes_as_python_values(
        self, graph: DagsterGraphQL, finished: Finished, waiting: Callable[[], Waiting]
    ) -> None:
        event = _materialized(graph, finished, waiting())
        assert event.metadata == {
            "text": "words",
            "count": 3,
            "share": 0.5,
            "yes": True,
            "table": {"a": [1, 2]},
            "place": "/tmp",
            "page": "http://127.0.0.1/page",
        }


def _materialized(graph: DagsterGraphQL, finished: Finished, run: Waiting) -> Event:
    run.go_on()
    finished(run.run_id)
    return next(event for event in graph.events("waits") if event.run_id == run.run_id)


def test_a_platform_that_is_down_says_how_to_start_it(free_port: int) -> None:
    with closing(DagsterGraphQL(f"http://127.0.0.1:{free_port}")) as graph:
        with pytest.raises(TransientError) as raised:
            graph.runs()
        assert raised.value.hint == "`ai-how up` starts the platform"


@pytest.mark.parametrize("body", [b"<html>not this</html>", b"[]", b"{}", b'{"data": null}', b"1"])
def test_an_answer_that_is_not_dagsters_is_no_crash(body: bytes) -> None:
    with (
        _answering(body) as url,
        closing(DagsterGraphQL(url)) as graph,
        pytest.raises(TransientError),
    ):
        graph.runs()


def test_a_refused_question_is_not_asked_again() -> None:
    body = json.dumps({"errors": [{"message": "Cannot query field"}]}).encode()
    with (
        _answering(body) as url,
        closing(DagsterGraphQL(url)) as graph,
        pytest.raises(PermanentError, match="Cannot query field"),
    ):
        graph.runs()


def _answering(body: bytes) -> AbstractContextManager[str]:
    """A server that answers every request with `body`."""

    class Answer(Exchange):
        def do_POST(self) -> None:
            self.body()
            self.answer(body)

    return serving(Answer)
