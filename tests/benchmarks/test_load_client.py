"""Where a load test runs is the settings' choice."""

from pathlib import Path
from unittest import mock

import dagster as dg
import pytest

from cloud_assets.benchmarks.load_client import load_client
from cloud_assets.settings import Settings
from resources.load import pods
from resources.load.pods import LoadPods
from resources.load.run import LoadPlan

PLAN = LoadPlan(url="http://127.0.0.1:1", model="m", prompts=(), requests=(), max_tokens=1)
LOAD = {"image": "load:1", "workers": 3, "cpu": "2"}


def settings(home: Path, **cluster: object) -> Settings:
    serving = {"cluster": {"namespace": "models", "runtimes": {"mlx": {"image": "m:1"}}, **cluster}}
    return Settings.model_validate({"home": home, "serving": serving if cluster else {}})


@pytest.fixture
def context() -> dg.AssetExecutionContext:
    made: dg.AssetExecutionContext = mock.create_autospec(dg.AssetExecutionContext)
    return made


def test_by_default_it_is_a_child_of_this_process(
    tmp_path: Path, context: dg.AssetExecutionContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = mock.Mock()
    monkeypatch.setattr("cloud_assets.benchmarks.load_client.run_load", called)
    load_client(settings(tmp_path), context)(PLAN)
    assert called.call_args.args == (PLAN,)


def test_on_a_cluster_it_may_be_pods_of_it(
    tmp_path: Path, context: dg.AssetExecutionContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = mock.Mock()
    monkeypatch.setattr(pods, "run_in_pods", called)
    load_client(settings(tmp_path, load=LOAD), context)(PLAN)
    assert called.call_args.args == (PLAN, context)
    assert called.call_args.kwargs["pods"] == LoadPods("models", "load:1", 3, "2", "512Mi")
