"""The contract of the graph where the settings name services."""

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from cloud_assets import definitions
from cloud_assets.settings import Settings
from tests.services.conftest import with_services

#: asset: what it is made from, its kinds
ASSETS = {
    "minio": ((), {"kubernetes", "s3"}),
    "postgresql": ((), {"kubernetes", "postgres"}),
    "mlflow": (("minio", "postgresql"), {"kubernetes", "mlflow"}),
}

#: asset, check; all of them end the run, so that nothing is put upon a broken service.
CHECKS = {
    ("minio", "buckets_work"),
    ("postgresql", "settings_in_force"),
    ("postgresql", "rows_survive"),
    ("mlflow", "run_and_version_kept"),
}


@pytest.fixture
def graph(settings: Settings) -> AssetGraph:
    return definitions.build(settings).resolve_asset_graph()


def test_it_is_loadable(settings: Settings) -> None:
    dg.Definitions.validate_loadable(definitions.build(settings))


def test_these_are_the_assets_of_the_group(graph: AssetGraph) -> None:
    found = {key for key in graph.get_all_asset_keys() if graph.get(key).group_name == "services"}
    assert {key.to_user_string() for key in found} == set(ASSETS)


@pytest.mark.parametrize("name", ASSETS)
def test_an_asset_is_what_the_table_says(graph: AssetGraph, name: str) -> None:
    found = graph.get(dg.AssetKey(name))
    parents = tuple(sorted(key.to_user_string() for key in found.parent_keys))
    assert (parents, found.kinds) == ASSETS[name]
    assert found.owners == ["team:ml-platform"]
    assert found.code_version
    assert found.description


def test_these_are_their_checks(graph: AssetGraph) -> None:
    specs = [graph.get_check_spec(each) for each in graph.asset_check_keys]
    ours = [each for each in specs if each.asset_key.to_user_string() in ASSETS]
    assert {(each.asset_key.to_user_string(), each.name) for each in ours} == CHECKS
    assert all(each.blocking and each.description for each in ours)


def test_the_job_tries_them_out_too(settings: Settings) -> None:
    job = definitions.build(settings).resolve_job_def("converge_services")
    found = {
        (each.asset_key.to_user_string(), each.name)
        for each in job.asset_layer.asset_graph.asset_check_keys
    }
    assert found >= CHECKS


def test_one_job_converges_them_in_one_process(settings: Settings) -> None:
    job = definitions.build(settings).resolve_job_def("converge_services")
    selected = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assert (selected, job.executor_def) == (set(ASSETS), dg.in_process_executor)


def test_what_is_not_named_is_not_there() -> None:
    graph = definitions.build(with_services(services={"postgresql": {}})).resolve_asset_graph()
    names = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert names & set(ASSETS) == {"postgresql"}


def test_mlflow_waits_only_for_what_is_ours() -> None:
    found = with_services(services={"mlflow": {"database_secret": "db"}, "minio": {}})
    parents = definitions.build(found).resolve_asset_graph().get(dg.AssetKey("mlflow")).parent_keys
    assert {key.to_user_string() for key in parents} == {"minio"}
