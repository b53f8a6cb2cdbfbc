"""When what is waited for holds: not before the status speaks of the present generation."""

from typing import Any

import pytest

from resources.kubernetes import Object, condition, deleted, exists, rolled_out


def found(kind: str = "Deployment", *, generation: int = 2, **parts: Any) -> Object:
    return {"kind": kind, "metadata": {"generation": generation, "uid": "one"}, **parts}


def counts(total: int, updated: int, available: int, *, seen: int = 2) -> Object:
    return {
        "observedGeneration": seen, "replicas": total, "updatedReplicas": updated,
        "availableReplicas": available,
    }  # fmt: skip


@pytest.mark.parametrize("each", [exists(), condition("Ready"), rolled_out()])
def test_of_nothing_nothing_holds(each: Any) -> None:
    assert not each.holds(None)


@pytest.mark.parametrize(
    ("status", "holds"),
    [
        (None, False),
        ({"conditions": None}, False),
        ({"conditions": [{"type": "Ready", "status": "False"}]}, False),
        ({"conditions": [{"type": "Other", "status": "True"}]}, False),
        ({"conditions": [{"type": "Ready", "status": "True"}]}, True),
        ({"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 1}]}, False),
        ({"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 2}]}, True),
    ],
)
def test_a_condition(status: Object | None, holds: bool) -> None:
    assert condition("Ready").holds(found(status=status)) is holds


@pytest.mark.parametrize(
    ("replicas", "status", "holds"),
    [
        (2, {}, False),
        (2, counts(2, 2, 2, seen=1), False),
        (2, counts(3, 2, 2), False),
        (2, counts(2, 1, 2), False),
        (2, counts(2, 2, 1), False),
        (2, counts(2, 2, 2), True),
        (0, {"observedGeneration": 2}, True),
    ],
)
def test_a_rollout(replicas: int, status: Object, holds: bool) -> None:
    assert rolled_out().holds(found(spec={"replicas": replicas}, status=status)) is holds


@pytest.mark.parametrize(("up", "holds"), [(1, False), (2, True)])
def test_a_rollout_on_every_node(up: int, holds: bool) -> None:
    status = {
        "observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2,
        "numberAvailable": up,
    }  # fmt: skip
    assert rolled_out().holds(found("DaemonSet", status=status)) is holds


def test_a_successor_of_the_same_name_is_another_object() -> None:
    assert [deleted(of).holds(found()) for of in ("", "one", "two")] == [False, False, True]
    assert deleted("one").holds(None)
