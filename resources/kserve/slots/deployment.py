"""The Deployment behind a slot, and whether the slot serves while further pods of it are not up.

An autoscaler adds them; they start for long, or find no node. KServe 0.20 calls an InferenceService
not ready until the last of them is up.
"""

from resources.kserve import names
from resources.kserve.site import Site
from resources.kserve.slots.start import state_of
from resources.kubernetes import Kubernetes, Object, Reference
from resources.kubernetes.conditions import has_been_up
from resources.serving import SlotState


def deployment_of(cluster: Kubernetes, site: Site, slot_name: str) -> Object | None:
    name = names.predictor_name(slot_name)
    return cluster.get(Reference("apps/v1", "Deployment", name, site.namespace))


def state_in(cluster: Kubernetes, site: Site, found: Object) -> tuple[SlotState, str]:
    """What `state_of` says, but ready where the pods that it had before serve."""
    state, reason = state_of(found)
    if state is not SlotState.READY:
        deployment = deployment_of(cluster, site, found["metadata"]["name"])
        if serves_meanwhile(deployment):
            return SlotState.READY, ""
    return state, reason


def serves_meanwhile(deployment: Object | None) -> bool:
    """Whether some of its pods are up and some are not, and none is being replaced. Pure."""
    if deployment is None:
        return False
    status, wanted = deployment.get("status") or {}, int(deployment["spec"].get("replicas", 1))
    if int(status.get("observedGeneration", 0)) < int(deployment["metadata"].get("generation", 0)):
        return False
    return has_been_up(deployment) and 1 <= int(status.get("readyReplicas", 0)) < wanted
