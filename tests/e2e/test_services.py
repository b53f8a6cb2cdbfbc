"""The guide on services, walked through on a real cluster with a real platform."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.embedded_platform import REPOSITORY, EmbeddedPlatform
from tests.doubles.walkthrough import Shell, commands
from tests.services.testbed import IMAGES, SMALL
from tests.testbed.cluster import Cluster

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(1800)]

GUIDE = REPOSITORY / "docs" / "guides" / "services.md"
SERVICES: dict[str, Any] = {
    "minio": {"server": "versitygw", **SMALL},
    "postgresql": SMALL,
    "mlflow": {"workers": 1, "cpu": "50m", "memory": "1Gi"},
}


@pytest.fixture
def platform(cluster: Cluster, tmp_path: Path) -> Iterator[EmbeddedPlatform]:
    """A platform that is up, with the services of the guide named and none made."""
    changes = {
        "kubernetes": {"kubeconfig": str(cluster.kubeconfig)},
        "images": IMAGES,
        "services": SERVICES,
    }
    found = EmbeddedPlatform(tmp_path, changes)
    try:
        found.up()
        yield found
    finally:
        found.down()
        cluster.kubectl("delete", "namespace", "mlops", "--ignore-not-found", "--wait=false")


def test_every_command_of_the_guide_does_what_the_page_says(platform: EmbeddedPlatform) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, "AI_HOW_CLUSTER": str(platform.file)}
    reader = Shell(platform.home, variables, {})
    for command in commands(GUIDE):
        reader.follow(command)
