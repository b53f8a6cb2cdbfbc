"""Who holds the GPUs that a pod waits for, from nodes and pods as the API server gives them."""

from typing import Any

import pytest

from resources.kubernetes import Object
from resources.kubernetes.reasons.scarcity import awaited, scarcity

GPU = "nvidia.com/gpu"


def node(name: str, gpus: Any = None, *, cordoned: bool = False) -> Object:
    allocatable = {"cpu": "2"} if gpus is None else {"cpu": "2", GPU: gpus}
    spec = {"unschedulable": True} if cordoned else {}
    return {"metadata": {"name": name}, "spec": spec, "status": {"allocatable": allocatable}}


def pod(name: str, gpus: Any = "1", *, on: str = "", phase: str = "Running") -> Object:
    limits = {"cpu": "1", GPU: gpus} if gpus else {"cpu": "1"}
    spec: Object = {"containers": [{"name": "server", "resources": {"limits": limits}}]}
    status: Object = {"phase": phase}
    if on:
        spec["nodeName"] = on
    else:
        status["conditions"] = [{"type": "PodScheduled", "status": "False"}]
    return {"metadata": {"name": name, "namespace": "models"}, "spec": spec, "status": status}


@pytest.mark.parametrize("spec", [None, {}, {"containers": None}, {"containers": [{}]}])
def test_a_pod_that_says_nothing_waits_for_nothing(spec: Object | None) -> None:
    status = {"conditions": [{"type": "PodScheduled", "status": "False"}]}
    assert awaited({"metadata": {"name": "a"}, "spec": spec, "status": status}) == {}


@pytest.mark.parametrize("count", ["many", "-1", "0", None, ""])
def test_what_is_no_number_counts_as_none(count: Any) -> None:
    assert awaited(pod("a", count)) == {}


def test_a_pod_with_a_node_waits_for_nothing() -> None:
    assert awaited(pod("a", on="node-1")) == {}


def test_what_the_cluster_itself_counts_is_left_to_the_scheduler() -> None:
    assert awaited(pod("a", None)) == {}


def test_no_node_has_any() -> None:
    assert scarcity(pod("a"), [node("node-1"), node("node-2", "0")], []) == f"no node has any {GPU}"


def test_a_node_that_takes_no_pods_has_none() -> None:
    assert scarcity(pod("a"), [node("node-1", "1", cordoned=True)], []) == f"no node has any {GPU}"


def test_no_node_is_as_large() -> None:
    nodes = [node("node-1", "1"), node("node-2", "2")]
    assert scarcity(pod("a", "4"), nodes, []) == f"no node has 4 {GPU}, the largest has 2"


def test_another_pod_holds_it() -> None:
    told = scarcity(pod("a"), [node("node-1"), node("node-2", "1")], [pod("first", on="node-2")])
    assert told == f"no free {GPU}: pod models/first holds 1 of 1 on node-2"


def test_many_hold_them() -> None:
    held = [pod(f"p{n}", on="node-1") for n in range(5)]
    told = scarcity(pod("a"), [node("node-1", "5")], held)
    assert told is not None
    assert told.endswith("pod models/p2 holds 1 of 5 on node-1, 2 more")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_ended_holds_none(phase: str) -> None:
    assert scarcity(pod("a"), [node("n", "1")], [pod("first", on="n", phase=phase)]) is None


def test_where_one_is_free_something_else_is_the_reason() -> None:
    nodes = [node("node-1", "1"), node("node-2", "1")]
    assert scarcity(pod("a"), nodes, [pod("first", on="node-1")]) is None


def test_enough_in_all_but_on_no_single_node() -> None:
    nodes = [node("node-1", "2"), node("node-2", "2")]
    held = [pod("first", on="node-1"), pod("second", on="node-2")]
    told = scarcity(pod("a", "2"), nodes, held)
    assert told == (
        f"no free {GPU}: pod models/first holds 1 of 2 on node-1, "
        "pod models/second holds 1 of 2 on node-2"
    )
