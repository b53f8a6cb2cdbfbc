"""What the tests of the cluster share: a namespace of one test's own."""

import uuid
from collections.abc import Iterator

import pytest

from tests.testbed.cluster import Cluster


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace that goes with the test, and all that is in it."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
