"""Checks of services that are not as they should be, run alone as the UI does."""

from pathlib import Path

import dagster as dg
import pytest

from cloud_assets.services.assets import build_assets
from cloud_assets.services.checks import build_checks
from cloud_assets.services.site import Site
from cloud_assets.services.trials import outcome
from cloud_assets.services.trials.outcome import Problem
from resources.kubernetes import Kubernetes
from tests.doubles.kubernetes import ApiServer
from tests.services.conftest import with_services


@pytest.fixture
def site(api_server: ApiServer, tmp_path: Path) -> Site:
    """Where nothing was made yet."""
    kubeconfig = api_server.kubeconfig(tmp_path)
    settings = with_services(kubernetes={"kubeconfig": kubeconfig})
    return Site(settings, Kubernetes(kubeconfig))


def checked(site: Site) -> dict[str, dg.AssetCheckEvaluation]:
    """What every check finds, without materializing anything."""
    graph = dg.Definitions(
        assets=build_assets(site.settings),
        asset_checks=build_checks(site.settings),
        jobs=[dg.define_asset_job("checks", selection=dg.AssetSelection.all_asset_checks())],
        resources={"site": site},
    )
    ended = graph.resolve_job_def("checks").execute_in_process(raise_on_error=False)
    return {each.check_name: each for each in ended.get_asset_check_evaluations()}


def test_a_service_that_is_not_there_fails_its_checks_with_reason_and_fix(site: Site) -> None:
    found = checked(site)
    assert set(found) == {
        "buckets_work", "settings_in_force", "rows_survive", "run_and_version_kept",
    }  # fmt: skip
    assert not any(each.passed for each in found.values())
    assert found["buckets_work"].description == (
        "Kubernetes could not read Secret mlops/minio-credentials: it lacks "
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
    )
    fix = found["run_and_version_kept"].metadata["fix"].value
    assert fix == "`ai-how services apply` makes it"


def test_problems_fail_a_trial_and_are_all_told() -> None:
    found = outcome.of([Problem("one"), Problem("two")], seconds=1.0)
    assert (found.passed, found.why) == (False, "one; two")
    assert outcome.of([]).passed
