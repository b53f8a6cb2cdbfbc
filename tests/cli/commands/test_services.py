"""`ai-how services` from outside: what it asks the cluster, what it prints, how it ends."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.doubles.kubernetes import ApiServer

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def api_server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running


@pytest.fixture
def cluster(api_server: ApiServer, tmp_path: Path) -> Path:
    """Settings of one service on the double, and of a platform that is down."""
    return written(tmp_path, {"minio": {}}, kubeconfig=api_server.kubeconfig(tmp_path))


def written(directory: Path, services: object, *, kubeconfig: Path) -> Path:
    path = directory / "cluster.yaml"
    platform = {
        "ports": {"dagster": 1, "mlflow": 2, "gateway": 3},
        "kubernetes": {"kubeconfig": str(kubeconfig)},
        "services": services,
    }
    path.write_text(yaml.safe_dump({"platform": platform}), "utf-8")
    return path


def run(cluster: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AI_HOW")}
    ended = subprocess.run(
        [sys.executable, "-m", "cloud_assets.cli.main", "services", *arguments],
        cwd=cluster.parent,
        env={**environment, "PYTHONPATH": str(REPOSITORY), "AI_HOW_CLUSTER": str(cluster)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ended.returncode, ended.stdout, ended.stderr


def test_a_service_that_is_not_ours_is_a_wrong_request(cluster: Path) -> None:
    code, printed, told = run(cluster, "apply", "--dry-run", "redis")
    assert (code, printed) == (2, "")
    assert told == ("error: `redis` is no service of the platform's\n\nhint: they are minio\n")


def test_without_services_it_says_where_to_name_them(tmp_path: Path) -> None:
    cluster = written(tmp_path, {}, kubeconfig=tmp_path / "none")
    for words in (("status",), ("apply",), ("apply", "--dry-run")):
        code, printed, told = run(cluster, *words)
        assert (code, printed) == (0, "")
        assert "name some under `platform.services`" in told
    assert run(cluster, "status", "--json")[1] == "[]\n"


def test_a_cluster_that_is_away_is_a_failure_with_a_hint(tmp_path: Path) -> None:
    cluster = written(tmp_path, {"minio": {}}, kubeconfig=tmp_path / "none")
    code, printed, told = run(cluster, "status")
    assert (code, printed) == (1, "")
    assert "hint: name a kubeconfig" in told


def test_a_dry_run_names_what_would_be_made_and_makes_nothing(
    cluster: Path, api_server: ApiServer
) -> None:
    code, printed, told = run(cluster, "apply", "--dry-run", "--json")
    assert (code, told) == (0, "")
    changes = {each["change"] for each in json.loads(printed)}
    assert {
        "Namespace mlops created",
        "Secret mlops/minio-credentials created",
        "StatefulSet mlops/minio created",
        "Bucket models created",
    } <= changes
    assert "namespaces/mlops" not in "".join(
        each for each in api_server.requests if each.startswith("PATCH") and "dryRun" not in each
    )


def test_status_says_that_it_is_not_there(cluster: Path) -> None:
    code, printed, _ = run(cluster, "status", "--json")
    [row] = json.loads(printed)
    assert (code, row["service"], row["state"]) == (0, "minio", "absent")
    assert row["address"] == "http://minio.mlops.svc:9000"


def test_applying_needs_the_platform(cluster: Path) -> None:
    code, _, told = run(cluster, "apply")
    assert code == 1
    assert "hint: `ai-how up` starts the platform" in told
