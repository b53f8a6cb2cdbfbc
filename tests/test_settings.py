"""Settings: what they are without a word, what they refuse, and where their paths lead."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from cloud_assets.settings import Settings
from cloud_assets.settings.serving import Serving


def settings(**platform: object) -> Settings:
    return Settings.model_validate(platform)


@pytest.mark.parametrize(("keep_warm", "share"), [(0, 0.45), (1, 0.3), (7, 0.1)])
def test_champion_warm_ones_and_a_candidate_share_the_gpu(keep_warm: int, share: float) -> None:
    assert Serving(keep_warm=keep_warm).memory_share == pytest.approx(share)


def test_a_gpu_engine_may_take_longer_to_start() -> None:
    assert [Serving(runtime=name).timeout_seconds for name in ("mlx", "vllm")] == [120, 600]


def test_without_a_word_everything_is_embedded(tmp_path: Path) -> None:
    found = Settings().resolved(tmp_path)
    assert found.home == tmp_path / ".ai-how"
    assert found.store_url == (tmp_path / ".ai-how" / "store").as_uri()
    assert found.registry_url == "http://127.0.0.1:5000"
    assert found.gateway_url == "http://127.0.0.1:8000"
    assert found.dagster_url == "http://127.0.0.1:3000"


def test_what_is_named_is_taken() -> None:
    found = settings(store={"url": "s3://models/a"}, registry={"url": "http://mlflow:80"})
    assert (found.store_url, found.registry_url) == ("s3://models/a", "http://mlflow:80")


def test_relative_paths_start_at_the_given_directory(tmp_path: Path) -> None:
    found = settings(
        home="h",
        roots=[{"path": "runs", "model": "qa"}],
        evaluation={"suites": {"qa": "suite.jsonl"}},
        benchmark={"prompts": "prompts.jsonl"},
    ).resolved(tmp_path)
    assert found.home == tmp_path / "h"
    assert found.roots[0].path == tmp_path / "runs"
    assert found.evaluation.suites == {"qa": tmp_path / "suite.jsonl"}
    assert found.benchmark.prompts == tmp_path / "prompts.jsonl"


def test_absolute_paths_and_homes_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/srv/somebody")
    roots = [{"path": "/mnt/runs", "model": "qa"}]
    found = settings(home="~/platform", roots=roots).resolved(tmp_path)
    assert (found.home, found.roots[0].path) == (
        Path("/srv/somebody/platform"),
        Path("/mnt/runs"),
    )


def test_they_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().home = Path("/else")  # type: ignore[misc]


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        ({"ports": {"mlflow": 3000}}, "the three ports must differ"),
        ({"ports": {"mlflow": 0}}, "greater than or equal to 1"),
        ({"ports": {"mlflow": 70000}}, "less than or equal to 65535"),
        ({"roots": [{"path": "a", "model": "a.b"}]}, "is not a model name"),
        ({"roots": [{"path": "a", "model": ""}]}, "is not a model name"),
        ({"roots": [{"path": "a", "model": "x" * 32}]}, "is not a model name"),
        ({"roots": [{"path": "a"}]}, "Field required"),
        ({"roots": [{"path": "a", "model": m} for m in "xy"]}, "the same path stands twice"),
        ({"store": {"url": "ftp://models"}}, "is neither s3://bucket/prefix nor"),
        ({"store": {"url": "s3://"}}, "is neither s3://bucket/prefix nor"),
        ({"store": {"url": "file://relative"}}, "is neither s3://bucket/prefix nor"),
        ({"serving": {"runtime": "abacus"}}, "'mlx', 'vllm' or 'vllm-cpu'"),
        ({"promotion": "always"}, "'automatic' or 'manual'"),
        ({"watch": {"hold_seconds": 46}}, "less than or equal to 45"),
        ({"watch": {"quiet_seconds": -1}}, "greater than or equal to 0"),
        ({"evaluation": {"minimum_accuracy": 1.5}}, "less than or equal to 1"),
        ({"evaluation": {"significance": 0}}, "greater than 0"),
        ({"benchmark": {"rate": 0}}, "greater than 0"),
        ({"benchmark": {"targets": [{"metric": "latency_p95"}]}}, "either at_most or at_least"),
        (
            {"benchmark": {"targets": [{"metric": "goodput", "at_most": 1, "at_least": 1}]}},
            "either at_most or at_least",
        ),
        ({"benchmark": {"targets": [{"metric": "speed", "at_most": 1}]}}, "latency_p50"),
        ({"colour": "blue"}, "Extra inputs are not permitted"),
        ({"images": {"mini": "minio:1"}}, "no image goes by mini; there are minio"),
        ({"charts": {"minio": "./chart"}}, "no chart goes by minio"),
        ({"services": {"redis": {}}}, "Extra inputs are not permitted"),
        ({"services": {"namespace": "ML ops"}}, "should match pattern"),
        ({"services": {"minio": {"size": "much"}}}, "should match pattern"),
        ({"services": {"minio": {"server": "ceph"}}}, "'minio' or 'versitygw'"),
        ({"services": {"postgresql": {"parameters": {"port": 1}}}}, "port cannot stand among"),
        ({"services": {"postgresql": {"parameters": {"a b": 1}}}}, "should match pattern"),
        ({"services": {"postgresql": {"max_connections": 9}}}, "greater than or equal to 10"),
        ({"services": {"mlflow": {}, "minio": {}}}, "mlflow needs a database"),
        ({"services": {"mlflow": {"database_secret": "db"}}}, "mlflow needs a bucket"),
        (
            {"services": {"mlflow": {"database_secret": "db", "s3_secret": "s3"}}},
            "images.mlflow must name one",
        ),
        ({"serving": {"keep_wram": 1}}, "Extra inputs are not permitted"),
    ],
)
def test_a_mistake_is_refused(platform: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Settings.model_validate(platform)


def test_a_service_is_ours_once_it_is_named() -> None:
    found = settings(services={"postgresql": None, "minio": {}})
    assert found.services.named == ("minio", "postgresql")
    assert settings().services.named == ()


def test_an_image_of_the_sites_own_replaces_the_default_as_a_whole() -> None:
    found = settings(images={"minio": "registry.local/s3:1"})
    assert found.image("minio") == "registry.local/s3:1"
    assert found.image("postgresql").startswith("docker.io/library/postgres:")


def test_the_kubeconfig_is_relative_to_the_file(tmp_path: Path) -> None:
    found = settings(kubernetes={"kubeconfig": "admin.conf"}).resolved(tmp_path)
    assert found.kubernetes.kubeconfig == tmp_path / "admin.conf"
    assert settings().resolved(tmp_path).kubernetes.kubeconfig is None
