"""The serving backend of a cluster: InferenceServices as slots, one stable Service an endpoint.

How long to wait for a slot and what it says when it does not come is `start`'s business.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress

from resources.errors import ExternalError, NeedsRepair, PermanentError, TransientError
from resources.kserve import lease, manifests, names, runtimes
from resources.kserve.addresses import service_url
from resources.kserve.endpoints import (
    autoscaler,
    autoscaler_kind,
    autoscaler_references,
    http_route,
    http_route_reference,
)
from resources.kserve.site import Site
from resources.kserve.slots.deployment import deployment_of, serves_meanwhile, state_in
from resources.kserve.slots.removal import remove
from resources.kserve.slots.start import Start, state_of
from resources.kubernetes import Change, Kind, Kubernetes, Object, Reference, apply_all
from resources.kubernetes.conditions import has_been_up
from resources.kubernetes.order import labels
from resources.serving import (
    OnWait,
    Route,
    Servable,
    Served,
    Slot,
    SlotState,
    refuse_unservable,
    unheard,
)

_INFERENCE_SERVICE = Kind(manifests.API_VERSION, manifests.KIND)
_SERVICE = Kind("v1", "Service")
_RUNTIME = Kind(runtimes.API_VERSION, runtimes.KIND)
#: The set of manifests that a site needs.
PART_OF = "ai-how-serving"
_REFUSED = (
    "change what the sentence names: in `serving.cluster`, or in the cluster's own policy or "
    "webhook that adds or forbids it"
)


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
        """Have namespace, account, credentials and runtimes; what that changed.

        Raises NeedsRepair for what the cluster refuses.
        """
        with _site_at_fault():
            changes = apply_all(self.cluster, manifests.site_manifests(self.site), part_of=PART_OF)
        changes += self._without_old_runtimes({each.reference.name for each in changes})
        self._prepared = True
        return [each for each in changes if each.outcome != "unchanged"]

    def serve(
        self, servable: Servable, *, timeout_seconds: float, on_wait: OnWait = unheard
    ) -> Served:
        """See `ServingBackend.serve`; a new slot that did not come up is taken away again.

        The phases are `ready`, of it `download` where the cluster tells, and `first_completion`;
        a slot that was up has the last.
        """
        deadline = time.monotonic() + timeout_seconds
        self._refuse(servable)
        name = names.slot_name(servable.key, servable.digest)
        try:
            reused, change = self._make(servable, name)
        except TransientError as error:
            on_wait(str(error))
            raise
        start = Start(self.cluster, self.site, name, deadline=deadline, on_wait=on_wait)
        try:
            as_it_is = reused and change.outcome == "unchanged"
            meanwhile = as_it_is and serves_meanwhile(self._deployment(name))
            phases = (start.completion if meanwhile else start.phases)(servable.name)
            slot = self._slot_named(name)
            while slot.state is not SlotState.READY:
                # KServe acted on what was put right only after the pod before had answered.
                phases, slot = start.phases(servable.name), self._slot_named(name)
        except (PermanentError, TransientError):
            # What it lacked may be of the site's own, which is made anew the next time.
            self._prepared = False
            with suppress(ExternalError):
                if change.outcome == "created" or not has_been_up(self._deployment(name)):
                    remove(self.cluster, self.site, name)
            raise
        if not reused:
            return Served(slot, phases)
        phases = {"first_completion": phases["first_completion"]}
        return Served(slot, phases, reused=True, mended=change.paths)

    def slots(self) -> tuple[Slot, ...]:
        found = self.cluster.listed(
            _INFERENCE_SERVICE, namespace=self.site.namespace, labels={names.SLOT_LABEL: "true"}
        )
        living = [each for each in found if "deletionTimestamp" not in each["metadata"]]
        # One whose record is damaged counts as gone: serving it again puts that right.
        known = [each for each in living if manifests.is_legible(each, manifests.served)]
        return tuple(sorted(map(self._slot, known), key=lambda slot: slot.name))

    def release(self, slot_name: str, *, confirm: bool = True) -> bool:
        if confirm:
            return remove(self.cluster, self.site, slot_name)
        # One of the same name is made once this one is gone, and finds nothing of it.
        return self.cluster.delete(
            manifests.slot_reference(self.site, slot_name), outlasts_owned=True
        )

    def exclusive(self, endpoint: str) -> AbstractContextManager[None]:
        return lease.held(self.cluster, self.site.namespace, names.endpoint_name(endpoint))

    def routes(self) -> Mapping[str, Route]:
        found = self.cluster.listed(
            _SERVICE, namespace=self.site.namespace, labels={names.ENDPOINT_LABEL: "true"}
        )
        legible = (each for each in found if manifests.is_legible(each, manifests.routed))
        return dict(manifests.routed(each) for each in legible if self._is_as_put(each))

    def route(self, endpoint: str, route: Route | None) -> None:
        if route is None:
            self._close(endpoint)
            return
        self.cluster.apply(manifests.endpoint(endpoint, route, self.site), force=True)
        beside = (autoscaler(endpoint, route, self.site), http_route(endpoint, self.site))
        wanted = [each for each in beside if each is not None]
        # First: KEDA refuses a Deployment that another autoscaler has.
        self._without_autoscalers(endpoint, kept=[Reference.of(each) for each in wanted])
        for manifest in wanted:
            self.cluster.apply(manifest, force=True)
        if self.site.scaling is not None:
            self._one_pod_each(endpoint, route)

    def address(self, endpoint: str) -> str:
        """The stable base URL of an endpoint. Raises PermanentError where it is closed."""
        return service_url(self.cluster, self.site, names.endpoint_name(endpoint))

    def _close(self, endpoint: str) -> None:
        self._without_autoscalers(endpoint)
        gateway = [http_route_reference(endpoint, self.site)] if self.site.gateway else []
        for reference in (*gateway, manifests.endpoint_reference(self.site, endpoint)):
            self.cluster.delete(reference)

    def _without_autoscalers(self, endpoint: str, *, kept: Collection[Reference] = ()) -> None:
        """Delete what is not `kept`, of other settings' kinds too.

        Of these nobody may have defined one, or given the account a right to it.
        """
        ours = autoscaler_kind(self.site)
        for reference in autoscaler_references(endpoint, self.site):
            try:
                if reference not in kept:
                    self.cluster.delete(reference)
            except NeedsRepair:
                if reference.of_kind == ours:
                    raise

    def _one_pod_each(self, endpoint: str, route: Route) -> None:
        """Take the pods that its autoscaler gave a former champion, which it has left."""
        for slot in self.slots():
            if slot.model_name != endpoint or (slot.key, slot.digest) == (route.key, route.digest):
                continue
            found = self._deployment(slot.name)
            if found is not None and int(found["spec"].get("replicas", 1)) > 1:
                one = {"spec": {"replicas": 1}}
                self.cluster.patch(Reference.of(found), one, subresource="scale")

    def _refuse(self, servable: Servable) -> None:
        """Raise for what no slot of this site can serve."""
        refuse_unservable(servable, dict.fromkeys(self.site.runtimes, False))
        if not servable.location.startswith("s3://"):
            raise NeedsRepair(
                "the serving backend",
                f"serve {servable.key}",
                f"pods cannot read {servable.location}",
                hint="set `store.url` to a bucket that the cluster reaches",
            )

    def _make(self, servable: Servable, name: str) -> tuple[bool, Change]:
        """Have the InferenceService; whether it was up, and what that changed.

        One that has been up is left as it was started, so that a mistake in the settings since
        cannot take it down; but what somebody changed in it by hand is put right.
        """
        if not self._prepared:
            self.prepare()
        reference = manifests.slot_reference(self.site, name)
        found = self.cluster.get(reference)
        if found is not None and "deletionTimestamp" in found["metadata"]:
            remove(self.cluster, self.site, name)
            found = None
        if found is None:
            return False, self._apply(manifests.inference_service(servable, self.site))
        ready = state_in(self.cluster, self.site, found)[0] is SlotState.READY
        started = manifests.as_started(found)
        altered = manifests.altered(found, started) if started else ""
        wanted = manifests.inference_service(servable, self.site)
        if started and manifests.served(started) == servable:
            if ready and not altered:
                return True, Change(reference, "unchanged")
            kept = ready or altered or has_been_up(self._deployment(name))
            wanted = started if kept and self._has_runtime_of(started) else wanted
        if _is_beyond_use(found, altered):
            remove(self.cluster, self.site, name)
        return ready, self._apply(wanted)

    def _apply(self, manifest: Object) -> Change:
        with _site_at_fault():
            return self.cluster.apply(manifest, force=True)

    def _deployment(self, slot_name: str) -> Object | None:
        return deployment_of(self.cluster, self.site, slot_name)

    def _has_runtime_of(self, manifest: Object) -> bool:
        name = manifest["spec"]["predictor"]["model"]["runtime"]
        runtime = Reference(runtimes.API_VERSION, runtimes.KIND, name, self.site.namespace)
        return self.cluster.get(runtime) is not None

    def _is_as_put(self, service: Object) -> bool:
        model, route = manifests.routed(service)
        return not manifests.altered(service, manifests.endpoint(model, route, self.site))

    def _without_old_runtimes(self, current: set[str]) -> list[Change]:
        """Delete the runtimes that neither the settings name any more nor a slot still has."""
        namespace = self.site.namespace
        slots = self.cluster.listed(_INFERENCE_SERVICE, namespace=namespace)
        used = {each["spec"]["predictor"].get("model", {}).get("runtime") for each in slots}
        found = self.cluster.listed(_RUNTIME, namespace=namespace, labels=labels(PART_OF))
        old = [
            Reference.of(each) for each in found if each["metadata"]["name"] not in current | used
        ]
        return [Change(each, "deleted") for each in old if self.cluster.delete(each)]

    def _slot_named(self, name: str) -> Slot:
        found = self.cluster.get(manifests.slot_reference(self.site, name))
        if found is None:
            raise TransientError(
                "the serving backend", f"serve {name}", "it was deleted meanwhile by somebody else"
            )
        return self._slot(found)

    def _slot(self, found: Object) -> Slot:
        servable, name = manifests.served(found), str(found["metadata"]["name"])
        state, reason = state_in(self.cluster, self.site, found)
        started = manifests.as_started(found)
        if state is not SlotState.READY:
            with suppress(ExternalError):
                reason = self.cluster.why(manifests.slot_reference(self.site, name))
        return Slot(
            name=name,
            key=servable.key,
            digest=servable.digest,
            model_name=servable.name,
            runtime=servable.runtime,
            url=self._url(name) if state is SlotState.READY else "",
            state=state,
            reason=reason,
            altered=manifests.altered(found, started) if started else "",
        )

    def _url(self, name: str) -> str:
        return service_url(self.cluster, self.site, names.predictor_name(name))


def _is_beyond_use(found: Object, altered: str) -> bool:
    """It failed, and nobody but us is to blame for how it is."""
    return state_of(found)[0] is SlotState.FAILED and not altered


@contextmanager
def _site_at_fault() -> Iterator[None]:
    """What the cluster refuses is made of the settings: of a checkpoint it has only the name."""
    try:
        yield
    except NeedsRepair:
        raise
    except PermanentError as error:
        raise NeedsRepair(error.system, error.action, error.reason, hint=_REFUSED) from error
