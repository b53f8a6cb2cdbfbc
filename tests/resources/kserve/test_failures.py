"""What goes wrong on a cluster, caused for real: the right error, the right sentence, nothing left.

How long each is waited out is `test_patience`'s business: deadlines here are short.
"""

from dataclasses import replace

import pytest

from resources.errors import DeadlineExceeded, NeedsRepair, PermanentError, TransientError
from resources.kserve import Bucket, KServe, Site, manifests, runtimes
from resources.kserve.runtimes import SERVERS, Server
from resources.kubernetes import Condition, Kubernetes, Object, Reference
from resources.serving import Servable, SlotState
from tests.resources.kserve.conftest import ABSENT, START_SECONDS, Store, pods, with_image

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(3600)]


@pytest.fixture
def backend(kubernetes: Kubernetes, site: Site) -> KServe:
    return KServe(kubernetes, site)


def nothing_is_left(backend: KServe) -> bool:
    return backend.slots() == ()


def applied(backend: KServe, kind: str, spec: Object, condition: str = "spec") -> Reference:
    """A policy of the namespace, in force."""
    about = {"name": "test", "namespace": backend.site.namespace}
    manifest = {"apiVersion": "v1", "kind": kind, "metadata": about, "spec": spec}
    reference = backend.cluster.apply(manifest).reference
    in_force = Condition("in force", lambda found: bool(found and found.get(condition)))
    backend.cluster.wait(reference, in_force, timeout_seconds=30)
    return reference


def test_an_image_that_is_not_there(kubernetes: Kubernetes, site: Site, servable: Servable) -> None:
    backend, told = KServe(kubernetes, with_image(site, image=ABSENT)), list[str]()
    with pytest.raises(NeedsRepair, match=f"cannot have its image {ABSENT}") as raised:
        backend.serve(servable, timeout_seconds=8, on_wait=told.append)
    assert "serving.cluster.runtimes" in (raised.value.hint or "")
    assert ABSENT in told[-1]
    assert nothing_is_left(backend)


def test_a_wrong_image_in_the_settings_leaves_what_serves_alone(
    backend: KServe, site: Site, servable: Servable, candidate: Servable
) -> None:
    champion = backend.serve(servable, timeout_seconds=START_SECONDS)
    [before] = pods(backend, servable)
    later = KServe(backend.cluster, with_image(site, image=ABSENT))
    with pytest.raises(NeedsRepair, match="image"):
        later.serve(candidate, timeout_seconds=6)
    again = later.serve(servable, timeout_seconds=START_SECONDS)
    [after] = pods(backend, servable)
    assert (again.slot, again.reused, again.mended) == (champion.slot, True, ())
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_a_runtime_that_nothing_has_any_more_is_deleted(
    backend: KServe, site: Site, servable: Servable
) -> None:
    backend.prepare()
    later = KServe(backend.cluster, with_image(site, image=ABSENT))
    changes = {change.outcome: change.reference.name for change in later.prepare()}
    assert changes == {
        "created": runtimes.runtime_name(later.site.runtimes["mlx"]),
        "deleted": runtimes.runtime_name(site.runtimes["mlx"]),
    }


def test_a_runtime_that_somebody_deleted_is_made_anew_by_the_next_try(
    backend: KServe, servable: Servable
) -> None:
    backend.prepare()
    name = runtimes.runtime_name(backend.site.runtimes["mlx"])
    backend.cluster.delete(
        Reference(runtimes.API_VERSION, runtimes.KIND, name, backend.site.namespace)
    )
    with pytest.raises(TransientError, match=name):
        backend.serve(servable, timeout_seconds=START_SECONDS)
    assert nothing_is_left(backend)
    assert backend.serve(servable, timeout_seconds=START_SECONDS).slot.state is SlotState.READY


def test_a_runtime_that_a_webhook_refuses(
    kubernetes: Kubernetes, site: Site, servable: Servable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(runtimes._ENVIRONMENT, "PYTHONPATH", "/somewhere")
    with pytest.raises(NeedsRepair, match="PYTHONPATH"):
        KServe(kubernetes, site).serve(servable, timeout_seconds=START_SECONDS)


def test_credentials_that_the_store_does_not_accept(
    kubernetes: Kubernetes, site: Site, servable: Servable
) -> None:
    bucket = replace(site.bucket, secret_key="not-the-secret")
    backend = KServe(kubernetes, replace(site, bucket=bucket))
    with pytest.raises(NeedsRepair, match=r"storage-initializer .* (403|Forbidden)") as raised:
        backend.serve(servable, timeout_seconds=START_SECONDS)
    assert "credentials" in (raised.value.hint or "")
    assert nothing_is_left(backend)


def test_credentials_that_nobody_made(
    kubernetes: Kubernetes, site: Site, servable: Servable
) -> None:
    secret = Reference("v1", "Secret", manifests.SECRET, site.namespace)
    kubernetes.delete(secret)
    backend = KServe(kubernetes, replace(site, bucket=Bucket(site.bucket.endpoint)))
    with pytest.raises(NeedsRepair, match=f'secrets "{manifests.SECRET}" not found'):
        backend.serve(servable, timeout_seconds=START_SECONDS)
    assert nothing_is_left(backend)


def test_a_bucket_that_is_gone(backend: KServe, servable: Servable) -> None:
    nowhere = replace(servable, location="s3://gone-with-all-its-objects/model/")
    with pytest.raises(NeedsRepair, match=r"storage-initializer .* (404|Not Found|not exist)"):
        backend.serve(nowhere, timeout_seconds=START_SECONDS)


def test_objects_that_are_gone(backend: KServe, servable: Servable, store: Store) -> None:
    nowhere = replace(servable, location=f"s3://{store.bucket}/gone/")
    with pytest.raises(NeedsRepair, match="No model found in gone/"):
        backend.serve(nowhere, timeout_seconds=START_SECONDS)


def test_a_quota_of_pods_that_is_used_up(backend: KServe, servable: Servable) -> None:
    backend.prepare()
    applied(backend, "ResourceQuota", {"hard": {"pods": "0"}}, "status")
    with pytest.raises(NeedsRepair, match="exceeded quota: test") as raised:
        backend.serve(servable, timeout_seconds=6)
    assert "ResourceQuota" in (raised.value.hint or "")


def test_a_quota_of_inference_services_that_is_used_up(backend: KServe, servable: Servable) -> None:
    backend.prepare()
    kinds = "count/inferenceservices.serving.kserve.io"
    applied(backend, "ResourceQuota", {"hard": {kinds: "0"}}, "status")
    with pytest.raises(NeedsRepair, match="exceeded quota: test"):
        backend.serve(servable, timeout_seconds=START_SECONDS)


def test_more_memory_than_any_node_has(
    kubernetes: Kubernetes, site: Site, servable: Servable
) -> None:
    backend = KServe(kubernetes, with_image(site, memory="9Ti"))
    with pytest.raises(DeadlineExceeded, match=r"no node takes pod .* Insufficient memory"):
        backend.serve(servable, timeout_seconds=5)
    assert nothing_is_left(backend)


def test_a_server_that_needs_more_memory_than_its_limit(
    kubernetes: Kubernetes, site: Site, servable: Servable
) -> None:
    backend = KServe(kubernetes, with_image(site, memory="20Mi"))
    backend.prepare()
    limit = {"type": "Container", "default": {"memory": "40Mi"}}
    applied(backend, "LimitRange", {"limits": [limit]})
    with pytest.raises(NeedsRepair, match=r"kserve-container .* OOMKilled"):
        backend.serve(servable, timeout_seconds=START_SECONDS)
    assert nothing_is_left(backend)


def test_a_server_that_never_listens(
    backend: KServe, servable: Servable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SERVERS, "mlx", Server(("sh", "-c", "sleep 600")))
    with pytest.raises(DeadlineExceeded, match="Startup probe failed") as raised:
        backend.serve(servable, timeout_seconds=14)
    assert "serving.timeout_seconds" in (raised.value.hint or "")
    assert nothing_is_left(backend)


def test_a_server_that_is_never_healthy(
    backend: KServe, servable: Servable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SERVERS, "mlx", Server(("sh", "-c", "exec python3 -m http.server 8080")))
    with pytest.raises(PermanentError, match="statuscode: 404") as raised:
        backend.serve(servable, timeout_seconds=START_SECONDS)
    assert not isinstance(raised.value, NeedsRepair)
    assert nothing_is_left(backend)
