"""Taking a slot away, also where its node is lost and nobody confirms that its pod has ended."""

import time

from resources.errors import TransientError
from resources.kserve import manifests, names
from resources.kserve.site import Site
from resources.kubernetes import Kind, Kubernetes, Reference
from resources.kubernetes.conditions import is_lost
from resources.kubernetes.reasons.investigation import nodes_of

_POD = Kind("v1", "Pod")
_GONE_SECONDS = 120.0
#: A pod on a node that works has ended by then.
_CONFIRMED_SECONDS = 10.0


def remove(cluster: Kubernetes, site: Site, name: str) -> bool:
    """Whether there was such a slot; returns once it and its pods are gone.

    Raises TransientError when that takes too long.
    """
    reference = manifests.slot_reference(site, name)
    deadline = time.monotonic() + _GONE_SECONDS
    known = False
    while True:
        try:
            found = cluster.delete(reference, wait_seconds=_CONFIRMED_SECONDS)
        except TransientError:
            if time.monotonic() > deadline:
                raise
            known = True
            _forget_lost_pods(cluster, site, name)
        else:
            return found or known


def _forget_lost_pods(cluster: Kubernetes, site: Site, name: str) -> None:
    """What is lost answers nobody any more; should its node come back, it ends what is forgotten.

    Where the platform may not read nodes, none is found.
    """
    labels = {names.PREDICTOR_LABEL: name}
    pods = cluster.listed(_POD, namespace=site.namespace, labels=labels)
    lost = {each["metadata"]["name"] for each in nodes_of(cluster, pods) if is_lost(each)}
    for pod in pods:
        if pod["spec"].get("nodeName") in lost:
            cluster.delete(
                Reference("v1", "Pod", pod["metadata"]["name"], site.namespace), at_once=True
            )
