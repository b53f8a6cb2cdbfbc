"""cert-manager on a real cluster: installed once, found unchanged, used, and what goes wrong."""

import dagster as dg
import pytest

from cloud_assets import definitions, keys
from cloud_assets.services.site import Site
from cloud_assets.services.trials.certificates import certificate_is_issued
from resources.errors import TransientError
from resources.kubernetes import Change, Reference
from tests.doubles import helm_program
from tests.services.charts.conftest import changed, service, site
from tests.testbed.cluster import Cluster

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(900)]
ABSENT = "127.0.0.1:1/absent:1"
WEBHOOK = Reference("apps/v1", "Deployment", "cert-manager-webhook", "cert-manager")


@pytest.fixture
def made(certificates: tuple[Site, list[Change]]) -> tuple[Site, list[Change]]:
    return certificates


def test_an_image_that_is_not_there_is_named(cluster: Cluster) -> None:
    """Before anything is installed; nothing is left of the attempt."""
    found = site(cluster, services={"timeout_seconds": 25, "cert_manager": {}})
    images = {**found.settings.images, "cert-manager-webhook": ABSENT}
    broken = changed(found, images=images)
    with pytest.raises(TransientError, match=r"cannot have its image 127\.0\.0\.1:1/absent:1"):
        service(broken, "cert_manager").convergence.converge(broken)
    assert broken.helm.status("cert-manager", "cert-manager") is None


def test_all_is_made(made: tuple[Site, list[Change]]) -> None:
    found, changes = made
    assert {each.reference.kind for each in changes} > {"CustomResourceDefinition", "Deployment"}
    release = found.helm.status("cert-manager", "cert-manager")
    assert release is not None
    assert release.status == "deployed"


def test_a_second_run_changes_nothing_and_says_so(made: tuple[Site, list[Change]]) -> None:
    found, _ = made
    before = found.helm.status("cert-manager", "cert-manager")
    convergence = service(found, "cert_manager").convergence
    planned = convergence.plan(found)
    changes = convergence.converge(found)
    assert {each.outcome for each in changes} == {"unchanged"}
    assert changes == planned
    assert found.helm.status("cert-manager", "cert-manager") == before


def test_what_somebody_removed_is_made_again(
    made: tuple[Site, list[Change]], cluster: Cluster
) -> None:
    found, _ = made
    cluster.kubectl("delete", "deployment", WEBHOOK.name, "--namespace", str(WEBHOOK.namespace))
    convergence = service(found, "cert_manager").convergence
    assert convergence.status(found).state == "starting"
    changes = convergence.converge(found)
    assert [each for each in changes if each.outcome != "unchanged"] == [Change(WEBHOOK, "created")]


def test_a_certificate_is_issued(made: tuple[Site, list[Change]]) -> None:
    outcome = certificate_is_issued(made[0])
    assert outcome.passed, outcome.why


def test_it_runs_the_images_of_the_site(made: tuple[Site, list[Change]]) -> None:
    found, _ = made
    status = service(found, "cert_manager").convergence.status(found)
    names = (each for name, each in found.settings.images.items() if "cert-manager" in name)
    assert (status.state, status.images) == ("running", tuple(sorted(names)))


def test_asset_and_check_are_one_run_of_the_graph(
    made: tuple[Site, list[Change]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = made
    monkeypatch.setenv(helm_program.VARIABLE, str(helm_program.built()))
    job = definitions.build(found.settings).resolve_job_def(keys.SERVICES_JOB)
    with dg.DagsterInstance.ephemeral() as instance:
        ended = job.execute_in_process(instance=instance)
        [made_of] = ended.asset_materializations_for_node("cert_manager")
        [check] = ended.get_asset_check_evaluations()
    assert made_of.metadata["changes"].value == []
    assert (check.check_name, check.passed) == ("certificate_issued", True)
