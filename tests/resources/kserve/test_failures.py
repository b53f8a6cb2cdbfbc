"""Starts that fail on a cluster, each caused for real: the right error and sentence, nothing left.

What can fail beside one another does so at once, since all of them mostly wait. How long each is
waited out is `test_patience`'s business.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest

from resources.errors import (
    DeadlineExceeded,
    ExternalError,
    NeedsRepair,
    PermanentError,
    TransientError,
)
from resources.kserve import Bucket, KServe, RuntimeImage, Site, manifests, runtimes
from resources.kserve.runtimes import SERVERS, Server
from resources.kubernetes import Condition, Kubernetes, Object, Reference
from resources.serving import Servable, Slot, SlotState
from tests.resources.kserve.conftest import (
    ABSENT,
    MLX,
    START_SECONDS,
    pods,
    site_on,
    with_image,
)
from tests.testbed.cluster import S3, Cluster

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(3600)]
#: Of what listens nowhere, and of what answers its probe with an error.
_ENDS = 'trap "exit 0" TERM; '
DEAF = Server(("sh", "-c", f"{_ENDS} while true; do sleep 0.2; done"))
UNFIT = Server(("sh", "-c", f"{_ENDS} python3 -m http.server {runtimes.PORT} & wait"))


@dataclass(frozen=True)
class Failed:
    """What a start came to: its error, what it said while it waited, and what it left behind."""

    error: ExternalError
    told: list[str]
    left: tuple[Slot, ...]


#: A backend and a checkpoint out of good ones, and the seconds that the start is given.
Spoil = Callable[[KServe, Servable], tuple[KServe, Servable, float]]


def _on(backend: KServe, site: Site) -> KServe:
    return KServe(backend.cluster, site)


def _absent_image(backend: KServe, servable: Servable) -> tuple[KServe, Servable, float]:
    return _on(backend, with_image(backend.site, image=ABSENT)), servable, START_SECONDS


def _wrong_key(backend: KServe, servable: Servable) -> tuple[KServe, Servable, float]:
    bucket = replace(backend.site.bucket, secret_key="not-the-secret")
    return _on(backend, replace(backend.site, bucket=bucket)), servable, START_SECONDS


def _no_key(backend: KServe, servable: Servable) -> tuple[KServe, Servable, float]:
    site = replace(backend.site, bucket=Bucket(backend.site.bucket.endpoint))
    backend.cluster.delete(Reference("v1", "Secret", manifests.SECRET, site.namespace))
    return _on(backend, site), servable, START_SECONDS


def _no_bucket(backend: KServe, servable: Servable) -> tuple[KServe, Servable, float]:
    nowhere = replace(servable, location="s3://gone-with-all-its-objects/model/")
    return backend, nowhere, START_SECONDS


def _no_objects(backend: KServe, servable: Servable) -> tuple[KServe, Servable, float]:
    nowhere = replace(servable, location=f"{servable.location}gone/")
    return backend, nowhere, START_SECONDS


def _no_quota(backend: KServe, servable: Servable) -> tuple[KServe, Servable, float]:
    applied(backend, "ResourceQuota", {"hard": {"pods": "0"}}, "status")
    return backend, servable, START_SECONDS


def _no_room(backend: KServe, servable: Servable) -> tuple[KServe, Servable, float]:
    return _on(backend, with_image(backend.site, memory="9Ti")), servable, 10


def _low_limit(backend: KServe, servable: Servable) -> tuple[KServe, Servable, float]:
    limit = {"type": "Container", "default": {"memory": "40Mi"}}
    applied(backend, "LimitRange", {"limits": [limit]})
    return _on(backend, with_image(backend.site, memory="20Mi")), servable, START_SECONDS


def _server(backend: KServe, servable: Servable, name: str) -> tuple[KServe, Servable]:
    site = replace(backend.site, runtimes={name: RuntimeImage(name, MLX.image, memory="64Mi")})
    return _on(backend, site), replace(servable, runtime=name)


def _deaf(backend: KServe, servable: Servable) -> tuple[KServe, Servable, float]:
    return (*_server(backend, servable, "deaf"), 30)


def _unfit(backend: KServe, servable: Servable) -> tuple[KServe, Servable, float]:
    return (*_server(backend, servable, "unfit"), START_SECONDS)


#: How a start is spoilt, the type of its error, the sentence, and a word of the hint.
FAILURES: Mapping[str, tuple[Spoil, type[ExternalError], str, str]] = {
    "absent image": (_absent_image, NeedsRepair, f"image .*{ABSENT}", "cluster.runtimes"),
    "wrong key": (_wrong_key, NeedsRepair, r"initializer .*(403|Forbidden)", "credentials"),
    "no key": (_no_key, NeedsRepair, f'secrets "{manifests.SECRET}" not found', "Secret"),
    "no bucket": (_no_bucket, NeedsRepair, r"initializer .*(404|not exist)", "bucket"),
    "no objects": (_no_objects, NeedsRepair, "No model found in good/gone/", "objects"),
    "no quota": (_no_quota, NeedsRepair, "exceeded quota: test", "ResourceQuota"),
    "no room": (_no_room, DeadlineExceeded, r"no node takes pod .*Insufficient memory", "node"),
    "low limit": (_low_limit, NeedsRepair, r"kserve-container .*OOMKilled", "limit"),
    "deaf": (_deaf, DeadlineExceeded, "Startup probe failed", "serving.timeout_seconds"),
    "unfit": (_unfit, PermanentError, "statuscode: 404", ""),
}


@pytest.fixture(scope="module")
def failures(
    cluster: Cluster, s3: S3, servable: Servable, kubernetes: Kubernetes
) -> Iterator[dict[str, Failed]]:
    """Each in a namespace of its own."""

    def fail(spoil: Spoil, site: Site) -> Failed:
        backend, spoilt, seconds = spoil(KServe(kubernetes, site), servable)
        told: list[str] = []
        with pytest.raises(ExternalError) as raised:
            backend.serve(spoilt, timeout_seconds=seconds, on_wait=told.append)
        return Failed(raised.value, told, backend.slots())

    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setitem(SERVERS, "deaf", DEAF)
        patch.setitem(SERVERS, "unfit", UNFIT)
        sites = {name: stack.enter_context(site_on(cluster, s3)) for name in FAILURES}
        with ThreadPoolExecutor(len(FAILURES)) as pool:
            under_way = {
                name: pool.submit(fail, FAILURES[name][0], site) for name, site in sites.items()
            }
            yield {name: each.result() for name, each in under_way.items()}


@pytest.mark.parametrize("name", FAILURES)
def test_a_start_that_fails_says_why_and_whose_fault_it_is(
    failures: dict[str, Failed], name: str
) -> None:
    _, kind, words, hint = FAILURES[name]
    error = failures[name].error
    assert type(error) is kind, error
    assert re.search(words, error.reason)
    assert hint in (error.hint or "")


@pytest.mark.parametrize("name", FAILURES)
def test_a_start_that_fails_said_so_while_it_was_waited_for(
    failures: dict[str, Failed], name: str
) -> None:
    assert any(re.search(FAILURES[name][2], each) for each in failures[name].told)


@pytest.mark.parametrize("name", FAILURES)
def test_a_start_that_fails_leaves_nothing(failures: dict[str, Failed], name: str) -> None:
    assert failures[name].left == ()


def applied(backend: KServe, kind: str, spec: Object, condition: str = "spec") -> Reference:
    """A policy of the namespace, in force."""
    about = {"name": "test", "namespace": backend.site.namespace}
    manifest = {"apiVersion": "v1", "kind": kind, "metadata": about, "spec": spec}
    reference = backend.cluster.apply(manifest).reference
    in_force = Condition("in force", lambda found: bool(found and found.get(condition)))
    backend.cluster.wait(reference, in_force, timeout_seconds=30)
    return reference


@pytest.fixture
def backend(kubernetes: Kubernetes, site: Site) -> KServe:
    return KServe(kubernetes, site)


def test_a_wrong_image_in_the_settings_leaves_what_serves_alone(
    backend: KServe, site: Site, servable: Servable, candidate: Servable
) -> None:
    champion = backend.serve(servable, timeout_seconds=START_SECONDS)
    [before] = pods(backend, servable)
    later = KServe(backend.cluster, with_image(site, image=ABSENT))
    with pytest.raises(NeedsRepair, match="image"):
        later.serve(candidate, timeout_seconds=8)
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
    assert backend.slots() == ()
    assert backend.serve(servable, timeout_seconds=START_SECONDS).slot.state is SlotState.READY


def test_a_runtime_that_a_webhook_refuses(
    kubernetes: Kubernetes, site: Site, servable: Servable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(runtimes._ENVIRONMENT, "PYTHONPATH", "/somewhere")
    with pytest.raises(NeedsRepair, match="PYTHONPATH"):
        KServe(kubernetes, site).serve(servable, timeout_seconds=START_SECONDS)


def test_a_quota_of_inference_services_that_is_used_up(backend: KServe, servable: Servable) -> None:
    backend.prepare()
    kinds = "count/inferenceservices.serving.kserve.io"
    applied(backend, "ResourceQuota", {"hard": {kinds: "0"}}, "status")
    with pytest.raises(NeedsRepair, match="exceeded quota: test"):
        backend.serve(servable, timeout_seconds=START_SECONDS)
