"""What a start waits for, how long, and whose fault it is then, with statuses of KServe 0.20."""

import math
from typing import Any

import pytest

from resources.kserve.slots.patience import (
    CONTROLLER,
    ERRORS,
    INITIALIZER,
    RULES,
    RUNTIME,
    SERVER_AWAY,
    Fault,
    Patience,
    cause_of,
    rule_of,
)
from resources.kubernetes import Cause, Object, Trouble

SERVER = "kserve-container"
#: Seen when the runtime of an InferenceService had been deleted.
NO_RUNTIME = {
    "transitionStatus": "InvalidSpec",
    "states": {"activeModelState": "", "targetModelState": "FailedToLoad"},
    "lastFailureInfo": {
        "reason": "RuntimeNotRecognized",
        "message": "Waiting for runtime to become available",
    },
}


def inference_service(**status: Any) -> Object:
    return {"kind": "InferenceService", "metadata": {"name": "qa"}, "status": status}


def cause(trouble: str, about: str = "") -> Cause:
    return Cause(trouble, "it is so", about)


def seconds_until_given_up(found: Cause) -> float:
    """On a clock that looks every second, for at most two minutes."""
    patience = Patience()
    looks = (now for now in range(120) if patience.given_up(found, 1000.0 + now))
    return next(looks, math.inf)


GIVEN_UP = (
    (cause(Trouble.IMAGE_NAME, SERVER), 0, Fault.SITE),
    (cause(Trouble.IMAGE_PULL, SERVER), 30, Fault.SITE),
    (cause(Trouble.IMAGE_PULL, INITIALIZER), 30, Fault.SITE),
    (cause(Trouble.OUT_OF_MEMORY, SERVER), 0, Fault.SITE),
    (cause(Trouble.ENDED, SERVER), 2, Fault.CHECKPOINT),
    (cause(Trouble.ENDED, INITIALIZER), 8, Fault.SITE),
    (cause(Trouble.KILLED, SERVER), 60, Fault.SITE),
    (cause(Trouble.CANNOT_START, SERVER), 15, Fault.SITE),
    (cause(Trouble.UNHEALTHY), 10, Fault.CHECKPOINT),
    (cause(Trouble.QUOTA), 30, Fault.SITE),
    (cause(Trouble.POD_REFUSED), 10, Fault.SITE),
    (cause(RUNTIME, "RuntimeNotRecognized"), 5, Fault.PASSING),
    (cause(RUNTIME, "RuntimeDisabled"), 5, Fault.SITE),
    (cause(Trouble.UNSCHEDULABLE), math.inf, Fault.SITE),
    (cause(Trouble.NODE_LOST), math.inf, Fault.SITE),
    (cause(Trouble.WEBHOOK_AWAY), math.inf, Fault.SITE),
    (cause(CONTROLLER), math.inf, Fault.SITE),
    (cause(SERVER_AWAY), math.inf, Fault.PASSING),
    (cause(Trouble.NOT_READY, SERVER), math.inf, Fault.SITE),
    (cause(Trouble.UNKNOWN), math.inf, Fault.SITE),
)


@pytest.mark.parametrize(("found", "seconds", "fault"), GIVEN_UP, ids=str)
def test_each_trouble_is_waited_out_for_its_time_and_is_then_of_its_owner(
    found: Cause, seconds: float, fault: Fault
) -> None:
    assert (seconds_until_given_up(found), rule_of(found).fault) == (seconds, fault)


def test_every_row_is_tried_here() -> None:
    assert {id(rule_of(each)) for each, _, _ in GIVEN_UP} >= {id(row) for row in RULES.values()}


def test_every_owner_has_an_error() -> None:
    assert set(ERRORS) == set(Fault)


def test_what_the_site_must_mend_says_how() -> None:
    rows = [row for row in RULES.values() if row.fault is Fault.SITE]
    assert [row for row in rows if not row.hint] == []


def test_a_container_that_crashes_also_runs_in_between() -> None:
    patience, crashed = Patience(), cause(Trouble.ENDED, INITIALIZER)
    assert not patience.given_up(crashed, 0)
    assert not patience.given_up(cause(Trouble.NOT_READY, INITIALIZER), 5)
    assert patience.given_up(crashed, 10)


def test_one_trouble_after_another_is_waited_out_from_its_own_beginning() -> None:
    patience = Patience()
    assert not patience.given_up(cause(Trouble.UNSCHEDULABLE), 0)
    assert not patience.given_up(cause(Trouble.IMAGE_PULL, SERVER), 100)
    assert not patience.given_up(cause(Trouble.IMAGE_PULL, SERVER), 129)
    assert patience.given_up(cause(Trouble.IMAGE_PULL, SERVER), 130)


def test_kserves_own_verdict_counts_and_the_event_says_more_than_the_status() -> None:
    event = Cause(Trouble.WARNING, "InferenceService qa: InternalError: No ServingRuntimes")
    found = cause_of(inference_service(modelStatus=NO_RUNTIME), event)
    assert found == Cause(RUNTIME, event.sentence, "RuntimeNotRecognized")


def test_without_an_event_the_verdict_has_its_own_words() -> None:
    told = Cause(Trouble.UNKNOWN, "nothing in the cluster says why")
    found = cause_of(inference_service(modelStatus=NO_RUNTIME), told)
    assert found.sentence == "RuntimeNotRecognized: Waiting for runtime to become available"


def test_what_nobody_has_acted_on_is_the_controllers() -> None:
    told = Cause(Trouble.UNKNOWN, "nothing in the cluster says why")
    found = cause_of({"kind": "InferenceService", "metadata": {"name": "qa"}}, told)
    assert found.trouble == CONTROLLER


@pytest.mark.parametrize(
    "status",
    [
        {"modelStatus": {"transitionStatus": "InProgress"}},
        {"modelStatus": {"transitionStatus": "BlockedByFailedLoad"}},
        {"conditions": []},
    ],
)
def test_else_what_the_cluster_told_counts(status: Object) -> None:
    told = cause(Trouble.ENDED, SERVER)
    assert cause_of(inference_service(**status), told) == told


def test_one_that_is_gone_is_told_as_the_cluster_tells_it() -> None:
    told = cause(Trouble.ABSENT)
    assert cause_of(None, told) == told
