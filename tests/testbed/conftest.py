"""What the tests of the cluster share: a namespace of one test's own."""

import uuid
from collections.abc import Iterator

import pytest

from tests.testbed.cluster import S3, Cluster


@pytest.fixture
def s3(cluster: Cluster) -> S3:
    """As it is now: tests of this folder end the cluster, and the next one has other keys."""
    assert cluster.s3 is not None
    return cluster.s3


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace that goes with the test, and all that is in it."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
