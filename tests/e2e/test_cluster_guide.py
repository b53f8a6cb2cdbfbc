"""The guide to serving on a cluster, walked through on a real one, from zero to an answer."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from minio import Minio

from tests.doubles.walkthrough import REPOSITORY, Shell, checkout_in, commands, other_ports
from tests.testbed import pins
from tests.testbed.build import cache, go_programs
from tests.testbed.cluster import S3, Cluster

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(1800)]

GUIDE = REPOSITORY / "docs" / "guides" / "serve-on-your-cluster.md"
ON_GPUS = 'vllm: {image: "docker.io/vllm/vllm-openai:v0.24.0", cpu: "4", memory: 16Gi, gpus: 1}'


@pytest.fixture
def name(cluster: Cluster, s3: S3) -> Iterator[str]:
    """A bucket, and the name of a namespace that goes behind."""
    made = f"test-{uuid.uuid4().hex[:8]}"
    host = s3.endpoint.removeprefix("http://")
    Minio(host, s3.access_key, s3.secret_key, secure=False).make_bucket(made)
    yield made
    cluster.kubectl("delete", "namespace", made, "--ignore-not-found", "--wait=false")


@pytest.fixture
def reader(cluster: Cluster, s3: S3, name: str, tmp_path: Path) -> Iterator[Shell]:
    """A reader with this cluster and its bucket instead of the page's, and CPUs for GPUs."""
    exchanged = {
        **other_ports(),
        "~/.kube/config": str(cluster.kubeconfig),
        "s3://models/": f"s3://{name}/",
        "http://minio.example.org:9000": s3.endpoint,
        "runtime: vllm": "runtime: mlx",
        ON_GPUS: f'mlx: {{image: "{pins.MLX_IMAGE}", cpu: 100m, memory: 256Mi}}',
        "namespace: ai-how": f"namespace: {name}",
        "--namespace ai-how": f"--namespace {name}",
    }
    programs = [Path(sys.executable).parent, cache.have(go_programs.kubernetes())]
    variables = {
        **{key: value for key, value in os.environ.items() if not key.startswith("AI_HOW_")},
        "PATH": ":".join([*map(str, programs), os.environ["PATH"]]),
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
    }
    yield Shell(checkout_in(tmp_path), variables, exchanged)
    file = tmp_path / "on-cluster" / "cluster.yaml"
    if file.exists():
        down = [sys.executable, "-c", "from cloud_assets.cli.main import main; main()", "down"]
        subprocess.run(down, env={**variables, "AI_HOW_CLUSTER": str(file)}, check=True)


def test_every_command_of_the_guide_does_what_the_page_says(reader: Shell) -> None:
    for command in commands(GUIDE):
        reader.follow(command)
