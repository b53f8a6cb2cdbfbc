"""How a cluster and the whole system stand, from what is seen of their machines."""

import pytest

from cloud_assets.machines.power.standing import Seen, Standing, of_cluster, of_system
from resources.libvirt import State

ON, OFF, ABSENT = Seen(True, State.RUNNING), Seen(True, State.OFF), Seen(True, None)
LEFT_OFF, BY_HAND = Seen(False, State.OFF), Seen(False, State.RUNNING)


@pytest.mark.parametrize(
    ("machines", "standing"),
    [
        ([], "not_configured"),
        ([ABSENT, ABSENT], "stopped"),
        ([OFF, ABSENT, LEFT_OFF], "stopped"),
        ([ON, ON], "running"),
        ([ON, LEFT_OFF], "running"),
        ([ON, Seen(False, None)], "running"),
        ([ON, OFF], "mixed"),
        ([OFF, BY_HAND], "mixed"),
        ([ON, Seen(True, State.PAUSED)], "mixed"),
        ([ON, Seen(True, State.OFF, crashed=True)], "error"),
    ],
)
def test_a_cluster_stands_so(machines: list[Seen], standing: str) -> None:
    assert of_cluster(machines) == standing


@pytest.mark.parametrize(
    ("clusters", "standing"),
    [
        ([], "not_configured"),
        (["running"], "running"),
        (["running", "running"], "running"),
        (["running", "stopped"], "mixed"),
        (["stopped", "stopped"], "stopped"),
        (["error", "running"], "error"),
    ],
)
def test_the_system_stands_so(clusters: list[str], standing: str) -> None:
    assert of_system(map(Standing, clusters)) == standing
