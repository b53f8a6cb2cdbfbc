"""A node that says it has GPUs, as a device plugin would have it say; there are none behind it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.testbed.cluster import Cluster

GPU = "nvidia.com/gpu"
LABEL = "nvidia.com/gpu.present"


@contextmanager
def advertised(cluster: Cluster, *, count: int = 1) -> Iterator[str]:
    """The name of a node with so many, labelled, and tainted against all that wants none."""
    if cluster.places is None:
        pytest.skip("it would say of somebody else's node what is not so")
    name = cluster.nodes[-1]
    ask = cluster.kubectl
    try:
        _offer(cluster, name, str(count))
        ask("label", "node", name, f"{LABEL}=true", "--overwrite")
        ask("taint", "node", name, f"{GPU}=:NoSchedule", "--overwrite")
        yield name
    finally:
        ask("taint", "node", name, f"{GPU}-")
        ask("label", "node", name, f"{LABEL}-")
        _offer(cluster, name, None)


def _offer(cluster: Cluster, node: str, count: str | None) -> None:
    """The kubelet takes over as allocatable what it finds as capacity; not at once, so both."""
    status = {"status": {"capacity": {GPU: count}, "allocatable": {GPU: count}}}
    cluster.kubectl(
        "patch", "node", node, "--subresource", "status", "--type", "merge",
        "--patch", json.dumps(status),
    )  # fmt: skip
