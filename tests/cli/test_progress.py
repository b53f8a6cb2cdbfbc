"""How far a checkpoint came and why not further, from what Dagster says and what lies on disk."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud_assets.cli.progress import Progress, read_progress, wait_for_run
from cloud_assets.settings import Root, Settings
from cloud_assets.stages import BENCH_TAG, PARTITION_TAG, RELEASE_JOB, WAITS_TAG
from resources.dagster.graphql import DagsterGraphQL, Event, Run, Step
from resources.gateway import routes
from resources.serving import Route
from tests.doubles.checkpoints import Checkpoints

KEY = "qa.run.100"
STEPS = (
    Step("checkpoint", "SUCCESS", 101.0, 101.5),
    Step("model_artifact", "SUCCESS", 101.5, 104.0),
)


def a_run(status: str = "SUCCESS", *, key: str = KEY, steps: tuple[Step, ...] = STEPS) -> Run:
    finished = status in {"SUCCESS", "FAILURE", "CANCELED"}
    return Run(
        run_id=f"run-of-{key}",
        status=status,
        job=RELEASE_JOB,
        created=100.0,
        started=None if status == "QUEUED" else 101.0,
        ended=110.0 if finished else None,
        tags={PARTITION_TAG: key},
        steps=steps,
    )


def a_release(outcome: str, *, at: float = 109.0, **metadata: Any) -> Event:
    return Event("run", KEY, at, {"outcome": outcome, "reasons": ["because"], **metadata})


class Graph(DagsterGraphQL):
    """What Dagster would answer."""

    def __init__(self, *runs: Run, releases: tuple[Event, ...] = (), why: str = "") -> None:
        super().__init__("http://127.0.0.1:1")
        self._given, self._releases, self._why = runs, releases, why

    def runs(self, **_: object) -> tuple[Run, ...]:
        return self._given

    def events(self, asset: str, **_: object) -> tuple[Event, ...]:
        return self._releases

    def failure(self, run_id: str) -> str:
        return self._why

    def run(self, run_id: str) -> Run | None:
        return next((run for run in self._given if run.run_id == run_id), None)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    (tmp_path / "root").mkdir()
    return Checkpoints(tmp_path / "root")


@pytest.fixture
def settings(tmp_path: Path, checkpoints: Checkpoints) -> Settings:
    home = tmp_path / "home"
    (home / "gateway").mkdir(parents=True)
    return Settings(home=home, roots=(Root(path=checkpoints.root, model="qa"),))


def only(settings: Settings, graph: Graph) -> Progress:
    [found] = read_progress(settings, graph)
    return found


def test_nothing_anywhere_is_no_row(settings: Settings) -> None:
    assert read_progress(settings, Graph()) == ()


@pytest.mark.parametrize(
    ("status", "steps", "expected"),
    [
        ("QUEUED", (), ("queue", "waiting")),
        ("STARTING", (), ("start", "running")),
        ("STARTED", STEPS, ("start", "running")),
        (
            "STARTED",
            (*STEPS, Step("registered_model", "IN_PROGRESS", 104.0, None)),
            ("registered_model", "running"),
        ),
    ],
)
def test_a_run_under_way_is_where_its_step_is(
    settings: Settings, status: str, steps: tuple[Step, ...], expected: tuple[str, str]
) -> None:
    found = only(settings, Graph(a_run(status, steps=steps)))
    assert ((found.stage, found.state), found.settled) == (expected, False)


def test_ended_stages_come_with_their_seconds(settings: Settings) -> None:
    found = only(settings, Graph(a_run("STARTED")))
    assert found.seconds == {"checkpoint": 0.5, "model_artifact": 2.5}


@pytest.mark.parametrize("outcome", ["promoted", "rejected", "held"])
def test_a_decided_one_has_outcome_reason_and_fix(settings: Settings, outcome: str) -> None:
    release = a_release(outcome, fix="train on", reasons=["one", "two"])
    found = only(settings, Graph(a_run(), releases=(release,)))
    assert (found.stage, found.state, found.reason, found.fix) == (
        "release",
        outcome,
        "one; two",
        "train on",
    )
    assert found.settled


def test_a_reason_that_is_no_list_is_shown_as_it_is(settings: Settings) -> None:
    release = a_release("held", reasons="plain")
    assert only(settings, Graph(a_run(), releases=(release,))).reason == "plain"


def test_a_promotion_by_hand_that_failed_leaves_it_as_it_was(settings: Settings) -> None:
    asked = replace(a_run("FAILURE"), run_id="asked", created=200.0, started=201.0, whole=False)
    found = only(settings, Graph(asked, a_run(), releases=(a_release("held"),)))
    assert (found.state, found.run_id) == ("held", f"run-of-{KEY}")


def test_a_promotion_by_hand_is_what_was_decided(settings: Settings) -> None:
    asked = replace(a_run(), run_id="asked", created=200.0, started=201.0, whole=False)
    found = only(settings, Graph(asked, a_run(), releases=(a_release("promoted", at=205.0),)))
    assert (found.state, found.since) == ("promoted", 205.0)


def test_what_is_behind_an_endpoint_is_serving(settings: Settings) -> None:
    route = Route(KEY, "d", "http://127.0.0.1:9", "qa")
    routes.put(settings.home / "gateway" / "routes.json", "qa", route)
    found = only(settings, Graph(a_run(), releases=(a_release("promoted"),)))
    assert (found.state, found.settled) == ("serving", True)


def test_a_failed_run_without_a_word_yet_tells_stage_and_cause(settings: Settings) -> None:
    steps = (*STEPS, Step("registered_model", "FAILURE", 104.0, 105.0))
    found = only(settings, Graph(a_run("FAILURE", steps=steps), why="MLflow is down"))
    assert (found.stage, found.state, found.reason) == (
        "registered_model",
        "failed",
        "MLflow is down",
    )
    assert found.fix
    assert not found.settled


def test_a_failed_run_whose_reason_is_on_record_is_decided(settings: Settings) -> None:
    found = only(settings, Graph(a_run("FAILURE"), releases=(a_release("rejected"),)))
    assert (found.state, found.reason) == ("rejected", "because")


def test_an_older_decision_does_not_count_for_a_newer_run(settings: Settings) -> None:
    old = a_release("promoted", at=50.0)
    found = only(settings, Graph(a_run("FAILURE"), releases=(old,), why="gone"))
    assert found.state == "failed"


def test_the_newest_run_counts(settings: Settings) -> None:
    older = replace(a_run("FAILURE"), run_id="older")
    found = only(settings, Graph(a_run("STARTED"), older))
    assert found.run_id == f"run-of-{KEY}"


def test_a_benchmark_says_nothing_of_how_far_it_is(settings: Settings) -> None:
    bench = replace(a_run("STARTED"), run_id="bench", tags={PARTITION_TAG: KEY, BENCH_TAG: "me"})
    found = only(settings, Graph(bench, a_run(), releases=(a_release("promoted"),)))
    assert found.state == "promoted"


def test_other_jobs_say_nothing_of_it_either(settings: Settings) -> None:
    assert read_progress(settings, Graph(replace(a_run(), job="converge_endpoints"))) == ()


def test_a_half_written_one_on_disk_waits_with_reason_and_fix(
    settings: Settings, checkpoints: Checkpoints
) -> None:
    (checkpoints.hf(step=100) / "trainer_state.json").unlink()
    found = only(settings, Graph())
    assert (found.checkpoint, found.stage, found.state) == (KEY, "checkpoint", "waiting")
    assert found.reason == "trainer_state.json is missing: the save has not ended"
    assert found.fix


def test_a_complete_one_on_disk_waits_for_quiet(
    settings: Settings, checkpoints: Checkpoints
) -> None:
    checkpoints.hf(step=100)
    found = only(settings, Graph())
    assert (found.state, found.reason) == (
        "waiting",
        "complete; it is taken once nothing changes",
    )
    assert found.since is not None


def test_a_refused_one_on_disk_says_why(settings: Settings, checkpoints: Checkpoints) -> None:
    checkpoints.pickle_only(step=100)
    found = only(settings, Graph())
    assert (found.state, found.fix) == ("refused", "save with save_safetensors=True")


def test_one_with_a_run_is_not_told_twice(settings: Settings, checkpoints: Checkpoints) -> None:
    checkpoints.hf(step=100)
    assert len(read_progress(settings, Graph(a_run("STARTED")))) == 1


@pytest.mark.parametrize("name", ["\udcff", "a\nb", "\x1b[31mred", "r" * 250])
def test_a_name_that_makes_no_key_can_be_shown(
    settings: Settings, checkpoints: Checkpoints, name: str
) -> None:
    checkpoints.hf(run=name, step=1)
    found = only(settings, Graph())
    assert (found.state, found.stage) == ("refused", "watch")
    assert f"{found.checkpoint}{found.reason}".isprintable()
    assert found.fix


def test_what_is_no_checkpoint_has_a_row_too(settings: Settings, checkpoints: Checkpoints) -> None:
    for run in ("an\x1b[2Jempty", "verl/global_step_5"):
        (checkpoints.root / run).mkdir(parents=True)
    rows = read_progress(settings, Graph())
    assert [(row.checkpoint, row.stage, row.state, row.reason, row.layout) for row in rows] == [
        ("an\\x1b[2Jempty", "watch", "waiting", "no checkpoint yet", "unknown"),
        ("verl/global_step_5", "watch", "refused", "needs a merge: verl", "verl"),
    ]
    assert all(row.fix for row in rows)


def test_the_layout_of_one_on_disk_is_named(settings: Settings, checkpoints: Checkpoints) -> None:
    checkpoints.lora(step=100)
    assert only(settings, Graph()).layout == "lora"


def test_a_root_that_is_away_is_a_row(settings: Settings, checkpoints: Checkpoints) -> None:
    checkpoints.root.rmdir()
    found = only(settings, Graph())
    assert (found.checkpoint, found.state) == (str(checkpoints.root), "failed")
    assert (found.reason, found.fix) == ("there is no such directory", "create or mount it")


def test_a_run_is_waited_for_until_it_has_ended() -> None:
    class Going(Graph):
        def run(self, run_id: str) -> Run | None:
            answers.append(run_id)
            return [None, a_run("STARTED"), a_run("SUCCESS")][len(answers) - 1]

    answers: list[str] = []
    assert wait_for_run(Going(), "run", poll_seconds=0.001).status == "SUCCESS"
    assert len(answers) == 3


def test_a_run_under_way_says_what_it_waits_for(settings: Settings) -> None:
    run = a_run("STARTED", steps=(*STEPS, Step("inference_service", "IN_PROGRESS", 104.0, None)))
    waits = replace(run, tags={**run.tags, WAITS_TAG: "no node takes pod x"})
    found = only(settings, Graph(waits))
    assert (found.stage, found.state) == ("inference_service", "running")
    assert found.reason == "no node takes pod x"


def test_what_an_ended_run_waited_for_counts_no_more(settings: Settings) -> None:
    run = a_run()
    waited = replace(run, tags={**run.tags, WAITS_TAG: "no node takes pod x"})
    assert only(settings, Graph(waited, releases=(a_release("promoted"),))).reason == "because"
