"""The real helm on the testbed's cluster, and a namespace of one test's own."""

import uuid
from collections.abc import Iterator

import pytest

from resources.helm import Helm
from tests.doubles import helm_program
from tests.testbed.cluster import Cluster


@pytest.fixture
def space(cluster: Cluster) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def real_helm(cluster: Cluster) -> Helm:
    program = helm_program.built()
    if program is None:
        pytest.skip(helm_program.MISSING)
    return Helm(cluster.kubeconfig, program=program)
