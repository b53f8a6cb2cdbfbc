"""What nodes offer of GPUs, on the API server double."""

from pathlib import Path
from typing import Any

import pytest

from cloud_assets.services.site import Site
from cloud_assets.services.trials.gpus import gpus_are_offered
from cloud_assets.settings import Settings
from resources.kubernetes import Kubernetes
from tests.doubles.kubernetes import ApiServer


@pytest.fixture
def site(api_server: ApiServer, tmp_path: Path) -> Site:
    return Site(Settings(), Kubernetes(api_server.kubeconfig(tmp_path)))


def node(server: ApiServer, name: str, count: str | None, **labels: str) -> None:
    allocatable = {"nvidia.com/gpu": count} if count else {}
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"allocatable": allocatable},
    }
    server.store.put(document)


PRESENT = {"nvidia.com/gpu.present": "true"}
FOUND = {"feature.node.kubernetes.io/pci-10de.present": "true"}


def test_no_node_is_known_to_have_one(site: Site, api_server: ApiServer) -> None:
    node(api_server, "a", None)
    outcome = gpus_are_offered(site)
    assert (outcome.passed, outcome.severe) == (False, False)
    assert outcome.why == "no node is labelled as having a GPU"


@pytest.mark.parametrize("labels", [PRESENT, FOUND])
def test_a_node_that_has_one_and_offers_none(
    site: Site, api_server: ApiServer, labels: dict[str, str]
) -> None:
    node(api_server, "a", "2", **PRESENT)
    node(api_server, "b", "0", **labels)
    outcome = gpus_are_offered(site)
    assert (outcome.passed, outcome.severe) == (False, False)
    assert outcome.why.startswith("b has a GPU and offers no nvidia.com/gpu: the operator has made")
    assert outcome.figures == {"a": 2, "b": 0}


def test_all_nodes_offer_theirs(site: Site, api_server: ApiServer) -> None:
    node(api_server, "a", "4", **PRESENT)
    node(api_server, "b", "1")
    node(api_server, "c", None)
    outcome = gpus_are_offered(site)
    assert (outcome.passed, outcome.why, outcome.figures) == (True, "", {"a": 4, "b": 1})
