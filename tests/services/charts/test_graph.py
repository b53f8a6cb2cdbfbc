"""The contract of the graph where the settings name services that come as charts."""

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from cloud_assets import definitions
from tests.services.conftest import with_services

#: asset: what it is made from, its kinds
ASSETS = {
    "cert_manager": ((), {"kubernetes", "certmanager"}),
    "kserve": (("cert_manager",), {"kubernetes", "kserve"}),
    "gpu_operator": ((), {"kubernetes", "nvidia"}),
}
CHECKS = {
    ("cert_manager", "certificate_issued"),
    ("kserve", "model_served"),
    ("gpu_operator", "values_in_force"),
    ("gpu_operator", "gpus_offered"),
    ("gpu_operator", "pod_gets_gpu"),
}


def graph(*names: str) -> AssetGraph:
    found = with_services(services=dict.fromkeys(names))
    return definitions.build(found).resolve_asset_graph()


def test_these_are_the_assets() -> None:
    found = graph(*ASSETS)
    named = {key for key in found.get_all_asset_keys() if found.get(key).group_name == "services"}
    assert {key.to_user_string() for key in named} == set(ASSETS)


@pytest.mark.parametrize("name", ASSETS)
def test_an_asset_is_what_the_table_says(name: str) -> None:
    found = graph(*ASSETS).get(dg.AssetKey(name))
    parents = tuple(sorted(key.to_user_string() for key in found.parent_keys))
    assert (parents, found.kinds) == ASSETS[name]
    assert found.description


def test_each_has_its_checks_and_each_check_says_what_it_wants() -> None:
    found = graph(*ASSETS)
    keys = {(key.asset_key.to_user_string(), key.name): key for key in found.asset_check_keys}
    assert {key for key in keys if key[0] in ASSETS} == CHECKS
    assert all(found.get_check_spec(keys[each]).description for each in CHECKS)


def test_kserve_stands_on_a_cert_manager_of_somebody_elses_too() -> None:
    assert graph("kserve").get(dg.AssetKey("kserve")).parent_keys == set()
