"""Both S3 servers on a real cluster: made once, found unchanged, used, drifted and mended."""

from collections.abc import Iterator

import pytest

from cloud_assets.services.access import s3, secret
from cloud_assets.services.catalogue import services
from cloud_assets.services.manifests import minio
from cloud_assets.services.service import Service
from cloud_assets.services.site import Site
from cloud_assets.services.trials.buckets import buckets_work
from resources.errors import NeedsRepair
from resources.kubernetes import Change, Kubernetes, Reference
from tests.services.testbed import SMALL, site
from tests.testbed.cluster import Cluster

pytestmark = pytest.mark.testbed


@pytest.fixture(scope="module", params=["minio", "versitygw"])
def made(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[tuple[Site, list[Change]]]:
    """The site with its S3 server up, and what it took."""
    found = site(
        cluster.kubeconfig, f"s3-{request.param}", minio={"server": request.param, **SMALL}
    )
    yield found, _service(found).convergence.converge(found)
    cluster.kubectl("delete", "namespace", f"s3-{request.param}", "--wait=false")


def test_all_is_made_the_first_time(made: tuple[Site, list[Change]]) -> None:
    _, changes = made
    assert {each.outcome for each in changes} == {"created"}
    assert {each.reference.kind for each in changes} == {
        "Namespace", "Secret", "PersistentVolumeClaim", "Service", "StatefulSet", "Bucket",
    }  # fmt: skip


def test_a_second_run_changes_nothing(made: tuple[Site, list[Change]]) -> None:
    found, _ = made
    before = _versions(found)
    planned = _service(found).convergence.plan(found)
    changes = _service(found).convergence.converge(found)
    assert {each.outcome for each in changes} == {"unchanged"}
    assert changes == planned
    assert _versions(found) == before


def test_it_runs(made: tuple[Site, list[Change]]) -> None:
    found, _ = made
    settings = found.settings
    assert settings.services.minio is not None
    status = _service(found).convergence.status(found)
    wanted = (settings.image(settings.services.minio.server),)
    assert (status.state, status.images) == ("running", wanted)


def test_each_bucket_takes_and_gives(made: tuple[Site, list[Change]]) -> None:
    outcome = buckets_work(made[0])
    assert outcome.passed, outcome.why


def test_a_bucket_that_is_gone_is_told_and_made_again(made: tuple[Site, list[Change]]) -> None:
    found, _ = made
    with s3(found) as server:
        server._client.remove_bucket("datasets")
    with pytest.raises(NeedsRepair, match="the bucket is not there"):
        buckets_work(found)
    changes = _service(found).convergence.converge(found)
    created = [each.reference.name for each in changes if each.outcome == "created"]
    assert created == ["datasets"]
    assert buckets_work(found).passed


def test_wrong_keys_are_refused(made: tuple[Site, list[Change]]) -> None:
    with s3(made[0]) as server:
        server._keys = (server._keys[0], "wrong")
        with pytest.raises(NeedsRepair, match="it refuses the keys"):
            server.existing()


def test_what_was_changed_by_hand_is_put_right(
    made: tuple[Site, list[Change]], cluster: Cluster
) -> None:
    found, _ = made
    space = found.settings.services.namespace
    cluster.kubectl("scale", "statefulset/minio", "--replicas=0", "--namespace", space)
    changes = _service(found).convergence.converge(found)
    assert [str(each) for each in changes if each.outcome != "unchanged"] == [
        f"StatefulSet {space}/minio changed: .spec.replicas"
    ]
    assert buckets_work(found).passed


def test_a_drawn_secret_is_replaced_by_deleting_it_and_the_pod_follows(
    made: tuple[Site, list[Change]],
) -> None:
    found, _ = made
    wanted = minio.credentials(found.settings)
    before = secret(found, wanted)[minio.SECRET_KEY]
    found.kubernetes.delete(Reference("v1", "Secret", wanted.name, wanted.namespace))
    changes = _service(found).convergence.converge(found)
    assert {str(each.reference.kind) for each in changes if each.outcome != "unchanged"} == {
        "Secret", "StatefulSet",
    }  # fmt: skip
    assert secret(found, wanted)[minio.SECRET_KEY] != before
    assert buckets_work(found).passed


def test_a_server_that_does_not_come_says_why(cluster: Cluster) -> None:
    found = site(cluster.kubeconfig, "s3-absent", minio=SMALL, timeout_seconds=20)
    images = {**found.settings.images, "minio": "127.0.0.1:1/absent:1"}
    found = Site(found.settings.model_copy(update={"images": images}), found.kubernetes)
    try:
        with pytest.raises(NeedsRepair, match=r"cannot have its image 127\.0\.0\.1:1/absent:1"):
            _service(found).convergence.converge(found)
        assert _service(found).convergence.status(found).state == "starting"
    finally:
        cluster.kubectl("delete", "namespace", "s3-absent", "--wait=false")


def test_a_plan_before_anything_is_there_changes_nothing(cluster: Cluster) -> None:
    found = site(cluster.kubeconfig, "s3-planned", minio=SMALL)
    changes = _service(found).convergence.plan(found)
    assert {each.outcome for each in changes} == {"created"}
    assert found.kubernetes.get(Reference("v1", "Namespace", "s3-planned")) is None
    assert _service(found).convergence.status(found).state == "absent"


def _service(found: Site) -> Service:
    [service] = services(found.settings)
    return service


def _versions(found: Site) -> list[str]:
    """What any write would change."""
    cluster: Kubernetes = found.kubernetes
    space = found.settings.services.namespace
    references = [
        Reference("apps/v1", "StatefulSet", "minio", space),
        Reference("v1", "Service", "minio", space),
        Reference("v1", "PersistentVolumeClaim", "minio", space),
        Reference("v1", "Secret", "minio-credentials", space),
    ]
    objects = [cluster.get(each) for each in references]
    return [str(each and each["metadata"]["resourceVersion"]) for each in objects]
