"""A Kubernetes cluster: apply with our field manager, get, list, patch, delete, wait, look.

Sets of manifests, their order and what is pruned of them are `sets`' business.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from resources.errors import TransientError
from resources.kubernetes import conditions
from resources.kubernetes.api.connection import Connection
from resources.kubernetes.api.failures import SYSTEM, AlreadyThere, Expired, FieldConflict, NotFound
from resources.kubernetes.changes import Change, change
from resources.kubernetes.conditions import Condition
from resources.kubernetes.order import FIELD_MANAGER
from resources.kubernetes.reasons import investigation
from resources.kubernetes.reasons.cause import Cause
from resources.kubernetes.reasons.explanation import diagnose, explain
from resources.kubernetes.reference import Kind, Object, Reference, uid
from resources.kubernetes.waiting import Wait

_PAGE = 500


class Kubernetes:
    """One cluster, by a kubeconfig and a context of it, or the one that this process runs in.

    Every method raises TransientError where trying again may help (after having tried for
    `retry_seconds`), else PermanentError; a request is given up after `answer_seconds`. No error
    and no change holds anything of a Secret.
    """

    def __init__(
        self,
        kubeconfig: Path | None = None,
        *,
        context: str | None = None,
        retry_seconds: float = 20.0,
        answer_seconds: float = 60.0,
    ) -> None:
        self.connection = Connection(
            kubeconfig, context=context, retry_seconds=retry_seconds, answer_seconds=answer_seconds
        )

    def apply(
        self, manifest: Mapping[str, Any], *, force: bool = False, dry_run: bool = False
    ) -> Change:
        """Make the object what the manifest says, and say what that changed.

        Fields that an earlier manifest of ours had and this one lacks go. `dry_run` gives the same
        answer and changes nothing. Raises FieldConflict where another manager has given a field
        another value; `force` takes it over.
        """
        reference = Reference.of(manifest)
        action = f"apply {reference}"
        before = self.get(reference)
        options: dict[str, Any] = {"dry_run": "All"} if dry_run else {}
        send = {"body": dict(manifest), "content_type": "application/apply-patch+yaml", **options}
        try:
            after = self._change(reference, action, force_conflicts=force, **send)
        except FieldConflict as conflict:
            # What we patched is ours too, though the server keeps patches and applies apart.
            if set(conflict.owners) != {FIELD_MANAGER}:
                raise
            after = self._change(reference, action, force_conflicts=True, **send)
        return change(before, after)

    def create(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> bool:
        """Whether it was made; what is there already stays as it is, whoever made it."""
        reference = Reference.of(manifest)
        action = f"create {reference}"
        path = self.connection.resource(reference.of_kind, action).path(
            namespace=reference.namespace or "default"
        )
        options: dict[str, Any] = {"dry_run": "All"} if dry_run else {}
        try:
            self.connection.send(
                "POST", path, action=action, secret=_is_secret(reference),
                body=dict(manifest), field_manager=FIELD_MANAGER, **options,
            )  # fmt: skip
        except AlreadyThere:
            return False
        return True

    def get(self, reference: Reference) -> Object | None:
        """The object as it is, None when there is none (or no such namespace)."""
        action = f"get {reference}"
        path = self._path(reference, action)
        try:
            return self.connection.send("GET", path, action=action, secret=_is_secret(reference))
        except NotFound:
            return None

    def is_namespaced(self, kind: Kind) -> bool:
        """Whether objects of the kind are in namespaces. Raises NeedsRepair for an unknown kind."""
        return bool(self.connection.resource(kind, f"use {kind}").namespaced)

    def listed(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> list[Object]:
        """All objects of a kind that have the labels; of all namespaces where none is given."""
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        options: dict[str, Any] = {"label_selector": selector} if selector else {}
        try:
            return self._pages(kind, namespace, options)
        except Expired:
            return self._pages(kind, namespace, options)

    def patch(
        self, reference: Reference, body: Mapping[str, Any], *, subresource: str | None = None
    ) -> Change:
        """Merge `body` into an object that is there; None as a value removes a key."""
        action = f"patch {reference}"
        before = self.get(reference)
        after = self._change(
            reference, action, subresource=subresource, body=dict(body),
            content_type="application/merge-patch+json",
        )  # fmt: skip
        return change(before or after, after)

    def delete(
        self,
        reference: Reference,
        *,
        wait_seconds: float | None = None,
        outlasts_owned: bool = False,
        at_once: bool = False,
    ) -> bool:
        """Whether there was something to delete.

        With `wait_seconds` it returns once the object and what it owns are gone; raises
        TransientError, saying what holds it, when that takes longer. One that `outlasts_owned`
        goes after what it owns, too, but nobody waits. `at_once` gives a pod no time to end, and
        does not ask its node whether it has.
        """
        action = f"delete {reference}"
        path = self._path(reference, action)
        last = outlasts_owned or wait_seconds is not None
        how: dict[str, Any] = {"propagation_policy": "Foreground" if last else "Background"}
        how |= {"grace_period_seconds": 0} if at_once else {}
        found = self.get(reference)
        if found is None:
            return False
        with suppress(NotFound):
            self.connection.send("DELETE", path, action=action, **how)
        if wait_seconds is not None:
            gone = conditions.deleted(uid(found))
            self.wait(reference, gone, timeout_seconds=wait_seconds)
        return True

    def wait(
        self, reference: Reference, condition: Condition, *, timeout_seconds: float
    ) -> Object | None:
        """The object once the condition holds; None where it holds of an object that is gone.

        Raises TransientError after `timeout_seconds`, with one sentence of why.
        """
        wait = Wait(self.connection, reference, deadline=time.monotonic() + timeout_seconds)
        if wait.until(condition):
            return wait.last
        action = f"see {reference} {condition.text} within {timeout_seconds:g} s"
        if wait.trouble:
            why = wait.trouble
            raise TransientError(SYSTEM, action, why.reason, hint=why.hint) from why
        reason = explain(investigation.evidence(self, reference, wait.last))
        raise TransientError(SYSTEM, action, reason)

    def why(self, reference: Reference) -> str:
        """One sentence of why an object is not ready, from all that the cluster tells of it."""
        return self.cause(reference).sentence

    def cause(self, reference: Reference) -> Cause:
        """The same with the kind of trouble that it is."""
        return diagnose(investigation.evidence(self, reference, self.get(reference)))

    def events(self, reference: Reference) -> list[Object]:
        """The events of an object, of this one and none of the same name before; newest last."""
        found = self.get(reference)
        return investigation.events_of(self, [found] if found else [], reference)

    def log_tail(
        self, pod: Reference, *, container: str | None = None, lines: int = 20,
        previous: bool = False,
    ) -> str:  # fmt: skip
        """The last lines of a container, of its last attempt with `previous`; at most 64 KiB."""
        action = f"read the log of {pod}"
        asked: list[tuple[str, Any]] = [("tailLines", lines), ("limitBytes", 65536)]
        asked += [("container", container)] if container else []
        asked += [("previous", "true")] if previous else []
        path = f"{self._path(pod, action)}/log"
        return self.connection.text("GET", path, action=action, query_params=asked)

    def log(self, pod: Reference) -> str:
        """The whole log of a pod's only container, as far as its node has kept it."""
        action = f"read the log of {pod}"
        return self.connection.text("GET", f"{self._path(pod, action)}/log", action=action)

    def _pages(self, kind: Kind, namespace: str | None, options: Mapping[str, Any]) -> list[Object]:
        action = f"list {kind}"
        path = self.connection.resource(kind, action).path(namespace=namespace)
        own = {"apiVersion": kind.api_version, "kind": kind.kind}
        found: list[Object] = []
        following = ""
        while True:
            more: dict[str, Any] = {"_continue": following} if following else {}
            page = self.connection.send("GET", path, action=action, limit=_PAGE, **options, **more)
            found += ({**own, **each} for each in page["items"] or ())
            following = page.get("metadata", {}).get("continue") or ""
            if not following:
                return found

    def _change(
        self, reference: Reference, action: str, *, subresource: str | None = None, **options: Any
    ) -> Object:
        path = self._path(reference, action) + (f"/{subresource}" if subresource else "")
        return self.connection.send(
            "PATCH", path, action=action, secret=_is_secret(reference),
            field_manager=FIELD_MANAGER, **options,
        )  # fmt: skip

    def _path(self, reference: Reference, action: str) -> str:
        resource = self.connection.resource(reference.of_kind, action)
        namespace = reference.namespace or "default"
        return str(resource.path(name=reference.name, namespace=namespace))


def _is_secret(reference: Reference) -> bool:
    return reference.kind == "Secret"
