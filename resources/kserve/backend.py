"""The serving backend of a cluster: InferenceServices as slots, one stable Service an endpoint.

How long to wait for a slot and what it says when it does not come is `start`'s business.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager

from resources.errors import NeedsRepair, PermanentError, TransientError
from resources.kserve import lease, manifests, names
from resources.kserve.addresses import service_url
from resources.kserve.endpoints import (
    autoscaler,
    autoscaler_references,
    http_route,
    http_route_reference,
)
from resources.kserve.site import Site
from resources.kserve.start import Start, state_of
from resources.kubernetes import Change, Kind, Kubernetes, Object, Prune, Reference, apply_all
from resources.serving import Route, Servable, Served, Slot, SlotState

_INFERENCE_SERVICE = Kind(manifests.API_VERSION, manifests.KIND)
_SERVICE = Kind("v1", "Service")
_GONE_SECONDS = 120.0
#: The set of manifests that a site needs.
PART_OF = "ai-how-serving"


class KServe:
    """`resources.serving.ServingBackend` on one cluster.

    A slot is an InferenceService, an endpoint a Service; both carry what they are for. What the
    site needs is applied once by each process, before the first checkpoint.
    """

    def __init__(self, cluster: Kubernetes, site: Site) -> None:
        self.cluster = cluster
        self.site = site
        self._prepared = False

    def prepare(self) -> list[Change]:
        """Have namespace, account, credentials and runtimes; what that changed."""
        changes = apply_all(
            self.cluster, manifests.site_manifests(self.site), part_of=PART_OF, prune=Prune.SAFE
        )
        self._prepared = True
        return [each for each in changes if each.outcome != "unchanged"]

    def serve(self, servable: Servable, *, timeout_seconds: float) -> Served:
        """See `ServingBackend.serve`; a slot that did not come up is taken away again.

        The phases are `ready`, of it `download` where the cluster tells, and `first_completion`;
        a slot that was up has the last.
        """
        deadline = time.monotonic() + timeout_seconds
        self._refuse(servable)
        if not self._prepared:
            self.prepare()
        wanted = manifests.inference_service(servable, self.site)
        name = str(wanted["metadata"]["name"])
        found = self.cluster.get(manifests.slot_reference(self.site, name))
        reused = found is not None and state_of(found)[0] is SlotState.READY
        if found is not None and state_of(found)[0] is SlotState.FAILED:
            self._delete(name)
        # Also a slot that is up: what somebody changed in it by hand is put right.
        self.cluster.apply(wanted, force=True)
        try:
            phases = Start(self.cluster, self.site, name, deadline=deadline).phases(servable.name)
        except (PermanentError, TransientError):
            self._delete(name)
            raise
        if reused:
            phases = {"first_completion": phases["first_completion"]}
        return Served(self._slot_named(name), phases, reused=reused)

    def slots(self) -> tuple[Slot, ...]:
        found = self.cluster.listed(
            _INFERENCE_SERVICE, namespace=self.site.namespace, labels={names.SLOT_LABEL: "true"}
        )
        living = [each for each in found if "deletionTimestamp" not in each["metadata"]]
        return tuple(sorted(map(self._slot, living), key=lambda slot: slot.name))

    def release(self, slot_name: str) -> bool:
        return self._delete(slot_name)

    def exclusive(self, endpoint: str) -> AbstractContextManager[None]:
        return lease.held(self.cluster, self.site.namespace, names.endpoint_name(endpoint))

    def routes(self) -> Mapping[str, Route]:
        found = self.cluster.listed(
            _SERVICE, namespace=self.site.namespace, labels={names.ENDPOINT_LABEL: "true"}
        )
        return dict(map(manifests.routed, found))

    def route(self, endpoint: str, route: Route | None) -> None:
        if route is None:
            self._close(endpoint)
            return
        self.cluster.apply(manifests.endpoint(endpoint, route, self.site), force=True)
        beside = (autoscaler(endpoint, route, self.site), http_route(endpoint, self.site))
        wanted = [each for each in beside if each is not None]
        for manifest in wanted:
            self.cluster.apply(manifest, force=True)
        kept = [Reference.of(each) for each in wanted]
        for reference in autoscaler_references(endpoint, self.site):
            if reference not in kept:
                self.cluster.delete(reference)
        if self.site.scaling is not None:
            self._one_pod_each(endpoint, route)

    def address(self, endpoint: str) -> str:
        """The stable base URL of an endpoint. Raises PermanentError where it is closed."""
        return service_url(self.cluster, self.site, names.endpoint_name(endpoint))

    def _close(self, endpoint: str) -> None:
        beside = autoscaler_references(endpoint, self.site)
        if self.site.gateway is not None:
            beside.append(http_route_reference(endpoint, self.site))
        for reference in (*beside, manifests.endpoint_reference(self.site, endpoint)):
            self.cluster.delete(reference)

    def _one_pod_each(self, endpoint: str, route: Route) -> None:
        """Take the pods that its autoscaler gave a former champion, which it has left."""
        for slot in self.slots():
            if slot.model_name != endpoint or (slot.key, slot.digest) == (route.key, route.digest):
                continue
            name = names.predictor_name(slot.name)
            deployment = Reference("apps/v1", "Deployment", name, self.site.namespace)
            found = self.cluster.get(deployment)
            if found is not None and int(found["spec"].get("replicas", 1)) > 1:
                self.cluster.patch(deployment, {"spec": {"replicas": 1}}, subresource="scale")

    def _refuse(self, servable: Servable) -> None:
        """Raise for what no slot of this site can serve."""
        if servable.runtime not in self.site.runtimes:
            raise PermanentError(
                "the serving backend",
                f"serve {servable.key}",
                f"there is no runtime `{servable.runtime}`",
                hint=f"one of {', '.join(sorted(self.site.runtimes))}",
            )
        if servable.adapter_of is not None:
            raise PermanentError(
                f"the runtime {servable.runtime}",
                f"serve {servable.key}",
                "it is a PEFT adapter, and pods are given one model each",
                hint="merge the adapter into its base model",
            )
        if not servable.location.startswith("s3://"):
            raise NeedsRepair(
                "the serving backend",
                f"serve {servable.key}",
                f"pods cannot read {servable.location}",
                hint="set `store.url` to a bucket that the cluster reaches",
            )

    def _delete(self, name: str) -> bool:
        reference = manifests.slot_reference(self.site, name)
        return self.cluster.delete(reference, wait_seconds=_GONE_SECONDS)

    def _slot_named(self, name: str) -> Slot:
        found = self.cluster.get(manifests.slot_reference(self.site, name))
        if found is None:
            raise TransientError(
                "the serving backend", f"serve {name}", "it was deleted meanwhile by somebody else"
            )
        return self._slot(found)

    def _slot(self, found: Object) -> Slot:
        servable, name = manifests.served(found), str(found["metadata"]["name"])
        state, reason = state_of(found)
        return Slot(
            name=name,
            key=servable.key,
            digest=servable.digest,
            model_name=servable.name,
            runtime=servable.runtime,
            url=self._url(name) if state is SlotState.READY else "",
            state=state,
            reason=reason,
        )

    def _url(self, name: str) -> str:
        return service_url(self.cluster, self.site, names.predictor_name(name))
