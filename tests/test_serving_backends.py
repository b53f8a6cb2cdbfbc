"""Which backend the settings mean."""

from pathlib import Path

import pytest

from cloud_assets.serving_backends import serving_backend
from cloud_assets.settings import Autoscaling, Serving, Settings
from resources.kserve import Fronted, Gateway, Scaling
from resources.one_slot import OneSlot
from resources.process_serving import ProcessServing


def fetch(location: str, directory: Path) -> None:
    """Nothing is fetched here."""


def on_cluster(tmp_path: Path, **serving: object) -> Fronted:
    runtimes = {
        "mlx": {"image": "mlx:1"},
        "vllm": {"image": "vllm:1", "gpus": 1, "cpu": "4", "memory": "16Gi"},
    }
    cluster = {"namespace": "models", "runtimes": runtimes}
    settings = Settings.model_validate(
        {
            "home": tmp_path,
            "kubernetes": {"kubeconfig": tmp_path / "kubeconfig"},
            "store": {"url": "s3://bucket/a", "endpoint": "http://minio:9000", "region": "eu-1"},
            "serving": {"cluster": cluster, **serving},
        }
    )
    backend = serving_backend(settings, fetch)
    assert isinstance(backend, Fronted)
    return backend


def test_without_a_cluster_model_servers_are_processes(tmp_path: Path) -> None:
    assert isinstance(serving_backend(Settings(home=tmp_path), fetch), ProcessServing)


def test_a_cluster_serves_where_one_is_named(tmp_path: Path) -> None:
    site = on_cluster(tmp_path).backend.site
    assert (site.namespace, site.within, site.bucket.endpoint, site.bucket.region) == (
        "models",
        False,
        "http://minio:9000",
        "eu-1",
    )


def test_several_servers_share_a_gpu_of_the_cluster_too(tmp_path: Path) -> None:
    backend = on_cluster(tmp_path, arguments=["--max-model-len", "8192"]).backend
    runtimes = backend.site.runtimes
    assert runtimes["vllm"].arguments == (
        *("--gpu-memory-utilization", "0.30"),
        *("--max-model-len", "8192"),
    )
    assert runtimes["mlx"].arguments == ("--max-model-len", "8192")


def test_a_claim_for_what_servers_compile_is_the_runtimes(tmp_path: Path) -> None:
    runtimes = {"mlx": {"image": "mlx:1"}, "vllm": {"image": "vllm:1", "cache": "kernels"}}
    backend = on_cluster(tmp_path, cluster={"namespace": "models", "runtimes": runtimes}).backend
    assert {name: each.cache for name, each in backend.site.runtimes.items()} == {
        "mlx": None,
        "vllm": "kernels",
    }


def test_with_one_gpu_a_model_has_one_server_that_takes_all_of_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, serving=Serving(strategy="replace"))
    assert isinstance(serving_backend(settings, fetch), OneSlot)
    assert (settings.serving.warm, settings.serving.memory_share) == (0, 0.9)


def test_pods_of_an_endpoint_and_its_gateway_are_the_sites(tmp_path: Path) -> None:
    serving = on_cluster(tmp_path).backend.site
    assert (serving.scaling, serving.gateway) == (None, None)
    settings = Settings.model_validate(
        {
            "home": tmp_path,
            "store": {"url": "s3://bucket"},
            "serving": {
                "cluster": {
                    "runtimes": {"mlx": {"image": "mlx:1"}},
                    "autoscaling": {"most": 3, "cpu_percent": 80},
                    "gateway": {"name": "public", "namespace": "gateways", "domain": "example.org"},
                }
            },
        }
    )
    backend = serving_backend(settings, fetch)
    assert isinstance(backend, Fronted)
    assert backend.backend.site.scaling == Scaling(most=3, cpu_percent=80)
    assert backend.backend.site.gateway == Gateway("public", "gateways", "example.org")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"most": 3}, "either cpu_percent or prometheus"),
        ({"most": 3, "cpu_percent": 80, "ttft_p95": 1}, "asked of a prometheus"),
        ({"most": 3, "prometheus": "http://prometheus:9090"}, "needs one of them"),
    ],
)
def test_autoscaling_is_by_one_way(wrong: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Autoscaling.model_validate(wrong)


def test_credentials_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "who")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "what")
    bucket = on_cluster(tmp_path).backend.site.bucket
    assert (bucket.access_key, bucket.secret_key) == ("who", "what")
