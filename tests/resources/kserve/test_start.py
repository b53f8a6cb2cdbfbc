"""The state of a slot, as KServe's status tells it."""

from typing import Any

import pytest

from resources.kserve.slots.start import state_of
from resources.serving import SlotState


def inference_service(
    *, ready: str | None = None, message: str = "", **model: Any
) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready, "message": message}] if ready else []
    status = {"conditions": conditions, "modelStatus": model}
    return {
        "kind": "InferenceService",
        "metadata": {"name": "qa", "generation": 1},
        "status": status,
    }


def test_one_that_was_just_made_is_starting() -> None:
    state, reason = state_of({"kind": "InferenceService", "metadata": {"name": "qa"}})
    assert (state, reason) == (SlotState.STARTING, "KServe says nothing of it yet")


def test_one_that_is_ready_is_ready() -> None:
    assert state_of(inference_service(ready="True")) == (SlotState.READY, "")


def test_one_that_is_not_ready_says_why() -> None:
    found = inference_service(ready="False", message="Deployment is unavailable")
    assert state_of(found) == (SlotState.STARTING, "Deployment is unavailable")


@pytest.mark.parametrize("transition", ["BlockedByFailedLoad", "InvalidSpec"])
def test_one_that_no_waiting_mends_has_failed(transition: str) -> None:
    failure = {"reason": "NoSupportingRuntime", "message": "no runtime takes it"}
    found = inference_service(ready="False", transitionStatus=transition, lastFailureInfo=failure)
    assert state_of(found) == (SlotState.FAILED, "NoSupportingRuntime: no runtime takes it")


def test_a_failure_without_words_is_a_failure_still() -> None:
    found = inference_service(ready="False", transitionStatus="InvalidSpec")
    assert state_of(found) == (SlotState.FAILED, "failed")


@pytest.mark.parametrize("transition", ["BlockedByFailedLoad", "InvalidSpec"])
def test_one_that_is_ready_is_so_whatever_befell_a_further_pod_or_its_runtime(
    transition: str,
) -> None:
    found = inference_service(ready="True", transitionStatus=transition)
    assert state_of(found) == (SlotState.READY, "")
