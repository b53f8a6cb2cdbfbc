"""When a model can be served to try KServe, and what its configuration must say."""

from pathlib import Path
from typing import Any

import pytest

from cloud_assets.services.trials import inference
from cloud_assets.settings import Settings
from resources.kserve import Site as ServingSite
from resources.kubernetes import Kubernetes
from tests.doubles.kubernetes import ApiServer

SERVING = {"cluster": {"runtimes": {"mlx": {"image": "mlx:1"}}}}
STORE = {"url": "s3://bucket/a"}


def where(**platform: Any) -> ServingSite | str:
    return inference._where_to_serve(Settings.model_validate(platform).resolved(Path("/srv")))


@pytest.fixture
def cluster(api_server: ApiServer, tmp_path: Path) -> Kubernetes:
    return Kubernetes(api_server.kubeconfig(tmp_path))


def configure(server: ApiServer, deploy: str | None) -> None:
    about = {"name": "inferenceservice-config", "namespace": "kserve"}
    given = {} if deploy is None else {"deploy": deploy}
    server.store.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": given})


@pytest.mark.parametrize(
    ("platform", "why"),
    [
        ({}, "serving.cluster names no runtime"),
        ({"serving": SERVING}, "store.url names no bucket"),
        ({"serving": SERVING, "store": STORE}, "AWS_ACCESS_KEY_ID is not set here"),
    ],
)
def test_without_all_of_it_no_model_is_served(
    platform: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    assert where(**platform) == why


def test_a_model_is_served_apart_from_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    first, second = (where(serving=SERVING, store=STORE) for _ in range(2))
    assert isinstance(first, ServingSite)
    assert isinstance(second, ServingSite)
    assert first.namespace.startswith("ai-how-check-")
    assert first.namespace != second.namespace
    assert set(first.runtimes) == {"mlx"}


def test_a_tiny_model_is_made_beside_the_platform(tmp_path: Path) -> None:
    assert inference._write(tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_without_the_examples_there_is_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "_WRITE", "import examples_of_nobody")
    assert not inference._write(tmp_path / "model")


def test_standard_mode_is_as_it_should_be(api_server: ApiServer, cluster: Kubernetes) -> None:
    configure(api_server, '{"defaultDeploymentMode": "Standard"}')
    assert inference._mode(cluster) == []


@pytest.mark.parametrize(
    ("deploy", "mode"),
    [('{"defaultDeploymentMode": "Knative"}', "Knative"), ("{}", "None"), (None, "None")],
)
def test_another_mode_is_a_problem(
    api_server: ApiServer, cluster: Kubernetes, deploy: str | None, mode: str
) -> None:
    configure(api_server, deploy)
    [problem] = inference._mode(cluster)
    assert problem.endswith(f"says defaultDeploymentMode {mode} and not Standard")


def test_no_configuration_is_a_problem(cluster: Kubernetes) -> None:
    assert inference._mode(cluster) == ["there is no ConfigMap kserve/inferenceservice-config"]
