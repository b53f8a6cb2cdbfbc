"""KServe on a cluster that has one already: left alone, taken over when asked, used.

Behind it the cluster has the KServe again that it had before.
"""

from collections.abc import Iterator

import pytest
from minio import Minio

from cloud_assets.services.charts import kserve
from cloud_assets.services.charts.releases import placed
from cloud_assets.services.site import Site
from cloud_assets.services.trials.inference import model_is_served
from cloud_assets.settings import Store
from resources.errors import NeedsRepair
from resources.kubernetes import Kubernetes, Reference
from tests.services.charts.conftest import changed, service, site
from tests.testbed import pins
from tests.testbed.addons import kserve as addon
from tests.testbed.cluster import S3, Cluster

pytestmark = [pytest.mark.testbed, pytest.mark.disruptive, pytest.mark.timeout(900)]
MANAGER = Reference("apps/v1", "Deployment", "kserve-controller-manager", "kserve")
BUCKET = "kserve-check"
NAMESPACE = "kserve-check-models"


@pytest.fixture(scope="module")
def ours(cluster: Cluster, s3: S3, certificates: object) -> Iterator[Site]:
    """The site with the cluster's KServe as it was found; as it was again behind."""
    store = Minio(s3.endpoint.removeprefix("http://"), s3.access_key, s3.secret_key, secure=False)
    store.make_bucket(BUCKET)
    runtimes = {"mlx": {"image": pins.MLX_IMAGE, "cpu": "100m", "memory": "256Mi"}}
    found = site(
        cluster,
        services={"kserve": {}},
        store={"url": f"s3://{BUCKET}/platform", "endpoint": s3.endpoint},
        serving={"cluster": {"namespace": NAMESPACE, "runtimes": runtimes}},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
        yield found
    put_back(cluster, found)
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
    for each in store.list_objects(BUCKET, recursive=True):
        store.remove_object(BUCKET, str(each.object_name))
    store.remove_bucket(BUCKET)


def put_back(cluster: Cluster, found: Site) -> None:
    """Forget the releases, take helm's notes off what they made, and apply what was there."""
    ask, notes = cluster.kubectl, ("release-name", "release-namespace")
    for wanted in kserve.installations(found.settings):
        if found.helm.status(wanted.release, wanted.namespace) is None:
            continue
        for each in placed(
            found.kubernetes, found.helm.applied(wanted.release, wanted.namespace), wanted
        ):
            at = ("--namespace", each.namespace) if each.namespace else ()
            kind = each.kind if "/" not in each.api_version else f"{each.of_kind}"
            ask("annotate", kind, each.name, *at, *(f"meta.helm.sh/{note}-" for note in notes))
            ask("label", kind, each.name, *at, "app.kubernetes.io/managed-by-")
    ask("delete", "secret", "--namespace", "kserve", "--selector", "owner=helm")
    ask("delete", "deployment", MANAGER.name, "--namespace", "kserve")
    assert cluster.places is not None
    ask.apply(addon.crds())
    ask.apply(addon.resources(cluster.places))
    ask.wait(f"deployment/{MANAGER.name}", "condition=Available", "--namespace", "kserve")


def adopting(found: Site) -> Site:
    """The same site, which takes over what is there."""
    services = found.settings.services
    assert services.kserve is not None
    taken = services.kserve.model_copy(update={"adopt": True})
    return changed(found, services=services.model_copy(update={"kserve": taken}))


def without_a_bucket(found: Site) -> Site:
    return changed(found, store=Store())


def generation(cluster: Kubernetes) -> int:
    found = cluster.get(MANAGER)
    assert found is not None
    return int(found["metadata"]["generation"])


def test_what_somebody_else_installed_is_left_alone_and_its_owner_is_named(ours: Site) -> None:
    before = generation(ours.kubernetes)
    convergence = service(ours, "kserve").convergence
    with pytest.raises(NeedsRepair, match="there already, made by `kubectl`") as caught:
        convergence.converge(ours)
    assert "services.kserve.adopt: true" in str(caught.value.hint)
    assert generation(ours.kubernetes) == before
    assert ours.helm.status("kserve-crd", "kserve") is None
    assert convergence.status(ours).state == "absent"


def test_without_a_store_its_webhooks_are_asked(ours: Site) -> None:
    outcome = model_is_served(without_a_bucket(ours))
    assert outcome.passed, outcome.why
    assert outcome.figures["tried"] == "the webhooks alone"


def test_it_is_taken_over_when_asked(ours: Site) -> None:
    found = adopting(ours)
    changes = service(found, "kserve").convergence.converge(found)
    taken = [each.reference for each in changes if each.paths == ("its owner",)]
    assert MANAGER in taken
    assert len([each for each in taken if each.kind == "CustomResourceDefinition"]) == 6
    made = {str(each.reference) for each in changes if each.outcome == "created"}
    assert f"ServiceAccount {NAMESPACE}/ai-how-models" in made
    assert any(each.startswith(f"ServingRuntime {NAMESPACE}/ai-how-mlx") for each in made)


def test_what_is_taken_over_is_ours_from_then_on(ours: Site) -> None:
    convergence = service(ours, "kserve").convergence
    before = ours.helm.status("kserve", "kserve")
    changes = convergence.converge(ours)
    assert {each.outcome for each in changes} == {"unchanged"}
    assert convergence.plan(ours) == changes
    assert ours.helm.status("kserve", "kserve") == before
    assert convergence.status(ours).state == "running"


def test_a_tiny_model_is_served(ours: Site) -> None:
    outcome = model_is_served(ours)
    assert outcome.passed, outcome.why
    assert outcome.figures["tried"] == "a model on mlx"
    assert set(outcome.figures) >= {"ready_seconds", "first_completion_seconds"}


def test_another_mode_than_standard_is_told(ours: Site) -> None:
    config = Reference("v1", "ConfigMap", kserve.CONFIGURATION, "kserve")
    said = '{"defaultDeploymentMode": "Knative"}'
    found = ours.kubernetes.get(config)
    assert found is not None
    ours.kubernetes.patch(config, {"data": {"deploy": said}})
    try:
        outcome = model_is_served(without_a_bucket(ours))
    finally:
        ours.kubernetes.patch(config, {"data": {"deploy": found["data"]["deploy"]}})
    assert not outcome.passed
    assert outcome.why == (
        "ConfigMap kserve/inferenceservice-config says defaultDeploymentMode Knative "
        "and not Standard"
    )
