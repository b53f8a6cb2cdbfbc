"""Closing, emptying and opening nodes of the API server double: who is evicted, who stays."""

from pathlib import Path
from typing import Any

import pytest

from resources.errors import DeadlineExceeded, NeedsRepair
from resources.kubernetes import Kind, Kubernetes, Reference, nodes
from tests.doubles.kubernetes import ApiServer

NODE = "gpu-worker-01"
SECONDS = 30.0


@pytest.fixture
def client(api_server: ApiServer, tmp_path: Path) -> Kubernetes:
    found = Kubernetes(api_server.kubeconfig(tmp_path), retry_seconds=2.0)
    found.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}, "spec": {}})
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "work"}})
    return found


def pod(client: Kubernetes, name: str, *, owner: str | None = "ReplicaSet", **more: Any) -> None:
    owners = [] if owner is None else [
        {"apiVersion": "apps/v1", "kind": owner, "name": "x", "uid": "1", "controller": True}
    ]  # fmt: skip
    about = {"name": name, "namespace": "work", "ownerReferences": owners, **more.pop("about", {})}
    spec = {"nodeName": more.pop("on", NODE), "containers": [{"name": "main", "image": "x"}]}
    client.apply({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec, **more})


def pods(client: Kubernetes) -> list[str]:
    return sorted(each["metadata"]["name"] for each in client.listed(Kind("v1", "Pod")))


def is_closed(client: Kubernetes) -> bool:
    found = client.get(Reference("v1", "Node", NODE))
    assert found is not None
    return bool(found["spec"].get("unschedulable"))


def drain(client: Kubernetes, seconds: float = SECONDS, **more: Any) -> bool:
    return nodes.drain(client, NODE, because="its GPU goes", timeout_seconds=seconds, **more)


@pytest.mark.parametrize("act", [lambda client: nodes.cordon(client, "absent", "x"),
                                 lambda client: nodes.uncordon(client, "absent")])  # fmt: skip
def test_a_node_that_is_not_there_is_told(client: Kubernetes, act: Any) -> None:
    with pytest.raises(NeedsRepair, match="there is no such node"):
        act(client)


def test_a_pod_that_nothing_starts_again_keeps_the_node_open(client: Kubernetes) -> None:
    pod(client, "managed")
    pod(client, "alone", owner=None)
    with pytest.raises(NeedsRepair, match="again: work/alone"):
        drain(client)
    assert pods(client) == ["alone", "managed"]
    assert not is_closed(client)


def test_a_node_is_closed_and_opened_once(client: Kubernetes) -> None:
    assert [nodes.cordon(client, NODE, "x"), nodes.cordon(client, NODE, "x")] == [True, False]
    assert is_closed(client)
    assert [nodes.uncordon(client, NODE), nodes.uncordon(client, NODE)] == [True, False]
    assert not is_closed(client)


def test_what_somebody_else_closed_stays_closed(client: Kubernetes) -> None:
    client.patch(nodes.node(NODE), {"spec": {"unschedulable": True}})
    assert not nodes.cordon(client, NODE, "x")
    assert not nodes.uncordon(client, NODE)
    assert is_closed(client)


def test_pods_leave_but_for_those_that_belong_to_the_node(client: Kubernetes) -> None:
    pod(client, "goes")
    pod(client, "of-a-daemon-set", owner="DaemonSet")
    pod(client, "of-the-kubelet", about={"annotations": {"kubernetes.io/config.mirror": "x"}})
    pod(client, "elsewhere", on="another")
    assert drain(client)
    assert pods(client) == ["elsewhere", "of-a-daemon-set", "of-the-kubelet"]
    assert is_closed(client)


def test_a_budget_holds_a_pod_up_and_the_error_says_which(
    client: Kubernetes, api_server: ApiServer
) -> None:
    pod(client, "goes")
    pod(client, "kept")
    api_server.kept_by_budget = {"kept"}
    told: list[str] = []
    with pytest.raises(DeadlineExceeded, match=r"work/kept \(Cannot evict pod .* budget\)"):
        drain(client, 0.2, progress=lambda _, said: told.append(said))
    assert pods(client) == ["kept"]
    assert "work/kept" in told[0]
    api_server.kept_by_budget = set()
    assert not drain(client)
    assert pods(client) == []


def vacate(client: Kubernetes, seconds: float = SECONDS, **more: Any) -> dict[str, str]:
    return nodes.vacate(client, [NODE], because="it goes off", timeout_seconds=seconds, **more)


def test_nodes_that_go_away_together_are_left_by_all_that_may_leave(
    client: Kubernetes, api_server: ApiServer
) -> None:
    pod(client, "goes")
    pod(client, "kept")
    pod(client, "alone", owner=None)
    pod(client, "elsewhere", on="another")
    api_server.kept_by_budget = {"kept"}
    told: list[str] = []
    left = vacate(client, progress=lambda _, said: told.append(said))
    assert left["work/alone"] == "nothing would start it again"
    assert "budget" in left["work/kept"]
    assert pods(client) == ["alone", "elsewhere", "kept"]
    assert is_closed(client)
    assert "work/kept" in told[0]


def test_a_pod_that_is_ending_is_waited_for_until_the_time_is_over(client: Kubernetes) -> None:
    pod(client, "slow", about={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    assert vacate(client, 0.2) == {"work/slow": "it is ending"}


def test_a_node_that_nobody_works_on_is_vacated_at_once(client: Kubernetes) -> None:
    assert vacate(client) == {}
    assert nodes.uncordon(client, NODE)
