"""Mutual exclusion across processes and machines by a Lease of the cluster.

Making the object is what takes the lease, which the server lets one do; a holder that died is
succeeded once its time is over.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from resources.errors import PermanentError, TransientError
from resources.kubernetes import Kubernetes, Object, Reference
from resources.kubernetes.api.failures import NotFound

API_VERSION = "coordination.k8s.io/v1"
#: Longer than what is done under it takes; it is not renewed.
LEASE_SECONDS = 60
_PATIENCE_SECONDS = 90.0
_POLL_SECONDS = 0.2


@contextmanager
def held(cluster: Kubernetes, namespace: str, name: str) -> Iterator[None]:
    """Hold the lease `name`. Raises TransientError when others hold it for too long."""
    reference = Reference(API_VERSION, "Lease", name, namespace)
    holder = uuid.uuid4().hex
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not _take(cluster, reference, holder):
        if time.monotonic() > deadline:
            raise TransientError("Kubernetes", f"hold {reference}", "others do not let go of it")
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        found = cluster.get(reference)
        if found is not None and found["spec"].get("holderIdentity") == holder:
            _remove(cluster, reference, found)


def _take(cluster: Kubernetes, reference: Reference, holder: str) -> bool:
    found = cluster.get(reference)
    if found is not None:
        if found["spec"].get("holderIdentity") == holder:
            # The answer to our own request was lost.
            return True
        if _is_over(found):
            _remove(cluster, reference, found)
        return False
    action = f"take {reference}"
    path = cluster.connection.resource(reference.of_kind, action).path(
        namespace=reference.namespace
    )
    try:
        cluster.connection.send(
            "POST", path, action=action, body=_lease(reference, holder), retry_seconds=0.0
        )
    except TransientError:
        return False
    except PermanentError:
        if cluster.get(reference) is None:
            raise
        return False
    return True


def _lease(reference: Reference, holder: str) -> Object:
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {
        "apiVersion": API_VERSION,
        "kind": "Lease",
        "metadata": {"name": reference.name, "namespace": reference.namespace},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": now,
            "renewTime": now,
        },
    }


def _is_over(found: Object) -> bool:
    renewed = datetime.fromisoformat(str(found["spec"]["renewTime"]))
    age = (datetime.now(UTC) - renewed).total_seconds()
    return age > int(found["spec"].get("leaseDurationSeconds", LEASE_SECONDS))


def _remove(cluster: Kubernetes, reference: Reference, found: Object) -> None:
    """Delete this very lease: not the one that another has taken since."""
    action = f"let go of {reference}"
    resource = cluster.connection.resource(reference.of_kind, action)
    about = found["metadata"]
    body = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": about["uid"], "resourceVersion": about["resourceVersion"]},
    }
    path = resource.path(name=reference.name, namespace=reference.namespace)
    with suppress(NotFound, TransientError):
        cluster.connection.send("DELETE", path, action=action, body=body, retry_seconds=0.0)
