"""That a testbed can be ended, or killed, at any time and leaves nothing that matters."""

import socket
from pathlib import Path

import pytest

from resources.supervisor import MARKER, processes
from tests.testbed import cluster as testbed
from tests.testbed import pins
from tests.testbed.cluster import Cluster
from tests.testbed.run import cell
from tests.testbed.run.places import Places

pytestmark = [pytest.mark.testbed, pytest.mark.disruptive]


@pytest.fixture
def ours(cluster: Cluster) -> Cluster:
    """The testbed itself; these tests leave it up as they found it."""
    if cluster.places is None:
        pytest.skip("the cluster is somebody else's: it is not ours to end")
    return cluster


def traces(places: Places) -> dict[str, list[str]]:
    """Whatever there is of a testbed, by kind; namespaces and tables end with the processes."""
    home = places.home
    marked = processes.marked(MARKER, str(home))
    mounts = Path("/proc/self/mounts").read_text("utf-8").splitlines()
    return {
        "processes": [f"{each.pid} {each.name()}" for each in marked],
        "mounts": [each for each in mounts if str(home) in each],
        "links": [name for _, name in socket.if_nameindex() if name == pins.LINK],
        "cgroups": [str(each) for each in Path("/sys/fs/cgroup").glob(f"**/{places.cgroup}")],
        "files": [str(home)] if home.exists() else [],
    }


def network_namespaces() -> set[str]:
    found = set()
    for each in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(str(each.readlink()))
        except OSError:
            continue
    return found


def test_down_leaves_nothing_and_up_works_again(ours: Cluster) -> None:
    assert ours.places
    before = network_namespaces()
    testbed.down()
    try:
        assert not any(traces(ours.places).values())
        # One for the cell and one for each pod at least.
        assert len(before) - len(network_namespaces()) > 1
    finally:
        testbed.up()
    assert ours.nodes


def test_up_works_after_everything_was_killed(ours: Cluster) -> None:
    assert ours.places
    processes.end(processes.marked(MARKER, str(ours.places.home)), grace_seconds=0)
    assert not cell.is_running(ours.places)
    testbed.up()
    for name in ours.nodes:
        ours.kubectl.wait(f"node/{name}", "condition=Ready")


def test_up_changes_nothing_where_a_cluster_is_up(ours: Cluster) -> None:
    assert ours.places
    before = {each.pid for each in processes.marked(MARKER, str(ours.places.home))}
    testbed.up()
    assert before <= {each.pid for each in processes.marked(MARKER, str(ours.places.home))}


def test_down_twice_is_down(ours: Cluster) -> None:
    testbed.down()
    try:
        assert testbed.down() == []
    finally:
        testbed.up()
