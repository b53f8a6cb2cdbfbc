"""The manifests as they are written down, and what may never be in them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from cloud_assets.services.manifests import minio, mlflow, postgresql
from cloud_assets.settings import Settings
from resources.kubernetes import Object

GOLDEN = Path(__file__).with_name("golden")
ALL: dict[str, Callable[[Settings, str], Sequence[Object]]] = {
    "minio": minio.manifests,
    "postgresql": postgresql.manifests,
    "mlflow": mlflow.manifests,
}


@pytest.mark.parametrize("name", ALL)
def test_they_are_those_that_were_agreed_upon(name: str, settings: Settings) -> None:
    """Look at the difference, then `python -m tests.services.manifests.write_golden`."""
    text = (GOLDEN / f"{name}.yaml").read_text("utf-8")
    assert list(ALL[name](settings, "1")) == list(yaml.safe_load_all(text))


@pytest.mark.parametrize("name", ALL)
def test_every_pod_follows_its_credentials(name: str, settings: Settings) -> None:
    first, second = (
        [each for each in ALL[name](settings, version) if "template" in each.get("spec", {})]
        for version in ("1", "2")
    )
    assert first != second


def test_the_other_server_has_files_of_its_own(settings: Settings) -> None:
    other = settings.model_validate(
        {"services": {"minio": {"server": "versitygw"}}, "images": {"versitygw": "gw:1"}}
    )
    containers = [_container(minio.manifests(each, "1")) for each in (settings, other)]
    assert [each["volumeMounts"][0]["subPath"] for each in containers] == ["minio", "versitygw"]
    assert containers[1]["image"] == "gw:1"


def test_a_parameter_cannot_end_its_quotes() -> None:
    found = Settings.model_validate(
        {"services": {"postgresql": {"parameters": {"search_path": "a'\nport = 1 \\"}}}}
    )
    text = postgresql.manifests(found, "1")[0]["data"]["postgresql.conf"]
    assert "search_path = 'a''\\nport = 1 \\\\'\n" in text


def test_parameters_are_in_the_configuration() -> None:
    chosen = {"shared_buffers": "256MB", "fsync": False, "random_page_cost": 1.1}
    found = Settings.model_validate(
        {"services": {"postgresql": {"max_connections": 33, "parameters": chosen}}}
    )
    lines = postgresql.manifests(found, "1")[0]["data"]["postgresql.conf"].splitlines()
    wanted = {"max_connections = '33'", "fsync = off", "random_page_cost = '1.1'"}
    assert wanted <= set(lines)


def test_mlflow_can_stand_on_what_others_run() -> None:
    wanted = {
        "database_secret": "db", "s3_secret": "s3", "s3_endpoint": "http://ceph:8080",
    }  # fmt: skip
    found = Settings.model_validate({"services": {"mlflow": wanted}, "images": {"mlflow": "m:1"}})
    variables = {each["name"]: each for each in _container(mlflow.manifests(found, "1"))["env"]}
    assert mlflow.credentials(found) == []
    assert _secret(variables["MLFLOW_BACKEND_STORE_URI"]) == ("db", "database_url")
    assert _secret(variables["AWS_SECRET_ACCESS_KEY"]) == ("s3", "AWS_SECRET_ACCESS_KEY")
    assert variables["MLFLOW_S3_ENDPOINT_URL"]["value"] == "http://ceph:8080"


def _container(manifests: Sequence[Object]) -> Object:
    workload = next(each for each in manifests if "template" in each.get("spec", {}))
    container: Object = workload["spec"]["template"]["spec"]["containers"][0]
    return container


def _secret(variable: Object) -> tuple[str, str]:
    reference = variable["valueFrom"]["secretKeyRef"]
    return reference["name"], reference["key"]
