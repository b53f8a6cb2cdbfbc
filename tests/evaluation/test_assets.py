"""The quality of a checkpoint: asked over HTTP, kept, judged, compared with the champion."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from cloud_assets import keys, lineage
from cloud_assets.documents import QualityReport
from cloud_assets.settings import Evaluation
from resources.errors import PermanentError
from tests.doubles.world import MODEL, QUESTIONS, World, checks, complaint, metadata


def measured(world: World, step: int = 100, *, right: int = 10) -> Mapping[str, Any]:
    world.publish(step)
    world.learn(right)
    result = world.run(keys.QUALITY_REPORT, step=step)
    assert result.success
    return metadata(result, keys.QUALITY_REPORT)


def test_every_question_is_asked_of_the_checkpoint(world: World) -> None:
    measured(world)
    assert sorted(asked["prompt"] for asked in world.server.asked) == sorted(QUESTIONS)
    assert {asked["model"] for asked in world.server.asked} == {MODEL}
    assert {asked["temperature"] for asked in world.server.asked} == {0}


def test_accuracy_is_told_with_its_interval(world: World) -> None:
    told = measured(world, right=8)
    assert (told["accuracy"], told["items"], told["passed"]) == (0.8, 10, True)
    assert told["accuracy_low"] < 0.8 < told["accuracy_high"]


def test_the_report_is_kept_with_every_answer(world: World) -> None:
    measured(world, right=8)
    [name] = [name for name in world.store.list("reports/") if name.endswith("quality.json")]
    report = json.loads(world.store.read(name) or b"")
    assert sum(item["passed"] for item in report["items"]) == 8
    assert (report["key"], report["passed"]) == ("qa.run.100", True)


def test_the_figure_stands_in_the_registry(world: World) -> None:
    measured(world, right=8)
    assert world.registry.figures["qa.run.100"] == {"accuracy": 0.8}


def test_too_few_right_answers_fail_the_gate_and_not_the_run(world: World) -> None:
    world.publish()
    world.learn(2)
    result = world.run(keys.QUALITY_REPORT)
    assert (result.success, checks(result)) == (True, {"accuracy_holds": False})


def test_it_is_compared_with_the_champion(world: World) -> None:
    measured(world, 100, right=10)
    world.promote(100)
    told = measured(world, 200, right=9)
    assert (told["champion"], told["champion_accuracy"]) == ("qa.run.100", 1.0)
    assert told["passed"]


def test_one_significantly_worse_than_the_champion_does_not_pass(world: World) -> None:
    measured(world, 100, right=10)
    world.promote(100)
    world.settings = world.settings.model_copy(
        update={"evaluation": Evaluation(suites=world.settings.evaluation.suites)}
    )
    told = measured(world, 200, right=2)
    assert not told["passed"]
    assert "significantly worse than the champion" in told["reasons"][1]


def test_the_champion_rewritten_since_is_compared_by_what_was_promoted(world: World) -> None:
    measured(world, 100, right=10)
    world.promote(100)
    readme = world.checkpoints.root / "run" / "checkpoint-100" / "README.md"
    readme.write_text("trained anew")
    measured(world, 100, right=6)
    told = measured(world, 200, right=9)
    assert told["champion_accuracy"] == 1.0


def test_one_that_was_not_up_is_served_for_as_long_as_it_is_asked(world: World) -> None:
    measured(world)
    assert (world.serving.started, world.serving.up) == (["qa.run.100"], [])


def test_one_that_was_up_stays_up(world: World) -> None:
    world.publish()
    world.run(keys.INFERENCE_SERVICE)
    measured(world)
    assert world.serving.up == ["qa.run.100"]


def test_a_server_that_refuses_leaves_no_slot(world: World) -> None:
    world.publish()
    world.server.status = 400
    assert "out of order" in complaint(world.run(keys.QUALITY_REPORT))
    assert world.serving.up == []


def test_a_model_without_a_suite_is_told_how_to_name_one(world: World) -> None:
    world.publish()
    world.settings = world.settings.model_copy(update={"evaluation": Evaluation()})
    assert "the settings name none" in complaint(world.run(keys.QUALITY_REPORT))


def test_a_report_that_is_damaged_is_no_report(world: World) -> None:
    world.store.write("reports/odd.json", b"{}")
    with pytest.raises(PermanentError, match="it is not a QualityReport"):
        lineage.read_document(world.store, "reports/odd.json", QualityReport)
