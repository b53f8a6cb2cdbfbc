"""A slot serves while pods that an autoscaler adds to it are not up, and only then."""

import pytest

from resources.kserve.slots.deployment import serves_meanwhile
from resources.kubernetes import Object


def deployment(
    *, wanted: int, ready: int, reason: str = "NewReplicaSetAvailable", seen: int = 2
) -> Object:
    progressing = {"type": "Progressing", "status": "True", "reason": reason}
    status = {"readyReplicas": ready, "observedGeneration": seen, "conditions": [progressing]}
    return {"metadata": {"generation": 2}, "spec": {"replicas": wanted}, "status": status}


@pytest.mark.parametrize(("wanted", "ready"), [(2, 1), (3, 1), (3, 2)])
def test_by_the_pods_that_it_had(wanted: int, ready: int) -> None:
    assert serves_meanwhile(deployment(wanted=wanted, ready=ready))


@pytest.mark.parametrize(
    "found",
    [
        None,
        deployment(wanted=1, ready=0),
        deployment(wanted=3, ready=0),
        deployment(wanted=3, ready=3),
        deployment(wanted=3, ready=1, reason="ReplicaSetUpdated"),
        deployment(wanted=3, ready=1, seen=1),
    ],
    ids=["absent", "one", "none of three", "all", "being replaced", "changed"],
)
def test_not_otherwise(found: Object | None) -> None:
    assert not serves_meanwhile(found)
