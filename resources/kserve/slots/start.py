"""Waiting for one slot until a real completion came back, and what it says when it does not come.

What each trouble is worth is `patience`'s business, what becomes of the slot the backend's.
"""

import time
from datetime import datetime
from typing import NoReturn

from resources.errors import DeadlineExceeded, PermanentError, TransientError
from resources.kserve import manifests, names, runtimes
from resources.kserve.addresses import service_url
from resources.kserve.site import Site
from resources.kserve.slots.patience import (
    ERRORS,
    INITIALIZER,
    SERVER_AWAY,
    Fault,
    Patience,
    cause_of,
    rule_of,
)
from resources.kubernetes import Cause, Condition, Kind, Kubernetes, Object, Reference, rolled_out
from resources.kubernetes.conditions import condition_of
from resources.kubernetes.waiting import Wait
from resources.openai import readiness
from resources.process_serving.runtimes import MLX, last_words
from resources.serving import OnWait, SlotState, unheard

_POD = Kind("v1", "Pod")
#: `status.modelStatus.transitionStatus` of KServe 0.20 where it does not wait itself any more.
_FAILED = frozenset({"BlockedByFailedLoad", "InvalidSpec"})
#: So often the cluster is asked what holds a slot up.
_LOOK_SECONDS = 3.0
#: KServe acts upon a change within a second.
_LAG_SECONDS = 4.0
_LOG_LINES = 200


def state_of(found: Object) -> tuple[SlotState, str]:
    """The state of an InferenceService by its own status, and its words where it is not ready."""
    ready, model = condition_of(found, "Ready"), _model_status(found)
    if ready.get("status") == "True":
        # Whatever befalls a further pod, or the runtime that it was started by.
        return SlotState.READY, ""
    if model.get("transitionStatus") in _FAILED:
        failure = model.get("lastFailureInfo") or {}
        words = f"{failure.get('reason', 'failed')}: {failure.get('message', '')}".strip(": ")
        return SlotState.FAILED, words
    return SlotState.STARTING, str(ready.get("message") or "KServe says nothing of it yet")


def _model_status(found: Object) -> Object:
    return dict((found.get("status") or {}).get("modelStatus") or {})


class Start:
    """One wait for one slot, until `deadline` on the monotonic clock."""

    def __init__(
        self,
        cluster: Kubernetes,
        site: Site,
        name: str,
        *,
        deadline: float,
        on_wait: OnWait = unheard,
    ) -> None:
        self._cluster = cluster
        self._site = site
        self._name = name
        self._deadline = deadline
        self._on_wait = on_wait
        self._reference = manifests.slot_reference(site, name)
        self._patience = Patience()
        self._began = time.monotonic()
        self._next_look = time.monotonic() + _LOOK_SECONDS

    def phases(self, model: str) -> dict[str, float]:
        """The seconds until it was `ready` and until the `first_completion` under `model` came.

        Raises the error of the rule that gave it up, with the engine's own words where it cannot
        start; DeadlineExceeded at the deadline with what the cluster says holds it up, then
        TransientError where the API server is away.
        """
        began = time.monotonic()
        self._await_ready()
        self._await_rollout()
        phases = {"ready": time.monotonic() - began, **self.completion(model)}
        return phases | self._download()

    def completion(self, model: str) -> dict[str, float]:
        """The phase `first_completion` alone, of a slot that is up; raises what `phases` does."""
        began = time.monotonic()
        self._await_completion(model)
        return {"first_completion": time.monotonic() - began}

    def _await_ready(self) -> None:
        while True:
            found = self._await(self._reference, Condition("ready or failed", self._is_settled))
            if found is None:
                raise TransientError(f"the slot {self._name}", "start", "it was deleted meanwhile")
            if state_of(found)[0] is SlotState.READY:
                return
            # KServe has given up; whether it is right is for the rules to say.
            self._look()
            time.sleep(min(1.0, self._left()))

    def _is_settled(self, found: Object | None) -> bool:
        """KServe 0.20 takes `observedGeneration` from the Deployment, which has none for a change
        that it does not see; so a number that lags is believed for a while only.
        """
        if found is None:
            return True
        seen = int((found.get("status") or {}).get("observedGeneration", 0))
        lags = bool(seen) and seen < int(found["metadata"].get("generation", 0))
        if lags and time.monotonic() < self._began + _LAG_SECONDS:
            return False
        return state_of(found)[0] is not SlotState.STARTING

    def _await_rollout(self) -> None:
        name = names.predictor_name(self._name)
        deployment = Reference("apps/v1", "Deployment", name, self._site.namespace)
        self._await(deployment, rolled_out())

    def _await(self, reference: Reference, condition: Condition) -> Object | None:
        while True:
            look = min(time.monotonic() + _LOOK_SECONDS, self._deadline)
            wait = Wait(self._cluster.connection, reference, deadline=look)
            if wait.until(condition):
                return wait.last
            self._look(wait.trouble)

    def _await_completion(self, model: str) -> None:
        url = service_url(self._cluster, self._site, names.predictor_name(self._name))
        patience = 2.0
        while True:
            try:
                limit = min(patience, self._left())
                readiness.complete(url, model, timeout_seconds=limit)
            except TransientError:
                patience = min(2 * patience, 30.0)
                if time.monotonic() > self._next_look:
                    self._look()
                time.sleep(min(0.2, self._left()))
            else:
                return

    def _look(self, trouble: TransientError | None = None) -> None:
        """Say what holds it up, and raise where that is waited out no longer."""
        cause = self._cause(trouble)
        self._on_wait(cause.sentence)
        self._next_look = time.monotonic() + _LOOK_SECONDS
        if self._patience.given_up(cause, time.monotonic()):
            self._give_up(cause)
        self._left(cause)

    def _cause(self, trouble: TransientError | None = None) -> Cause:
        if trouble is None:
            try:
                told = self._cluster.cause(self._reference)
                return cause_of(self._cluster.get(self._reference), told)
            except TransientError as error:
                trouble = error
        return Cause(SERVER_AWAY, trouble.reason)

    def _give_up(self, cause: Cause) -> NoReturn:
        rule = rule_of(cause)
        words = self._last_words() if rule.fault is Fault.CHECKPOINT else ""
        said = "; ".join(filter(None, (cause.sentence, words)))
        raise ERRORS[rule.fault](
            f"the slot {self._name}", "start its model server", said, hint=rule.hint or None
        )

    def _left(self, cause: Cause | None = None) -> float:
        """The seconds until the deadline; raises where none are left."""
        left = self._deadline - time.monotonic()
        if left > 0:
            return left
        cause = cause or self._cause()
        rule = rule_of(cause)
        kind = TransientError if rule.fault is Fault.PASSING else DeadlineExceeded
        raise kind(
            f"the slot {self._name}", "answer in time", cause.sentence, hint=rule.hint or None
        )

    def _last_words(self) -> str:
        """What the model server's own log says of its end; empty where there is none yet."""
        for pod in self._pods():
            reference = Reference("v1", "Pod", pod["metadata"]["name"], self._site.namespace)
            try:
                text = self._cluster.log_tail(
                    reference, container=runtimes.CONTAINER, lines=_LOG_LINES
                )
            except (PermanentError, TransientError):
                continue
            return last_words(tuple(text.splitlines()), MLX.noise)
        return ""

    def _pods(self) -> list[Object]:
        label = {names.PREDICTOR_LABEL: self._name}
        return self._cluster.listed(_POD, namespace=self._site.namespace, labels=label)

    def _download(self) -> dict[str, float]:
        """How long the storage initializer took; nothing where its pod does not tell any more."""
        for pod in self._pods():
            for each in pod["status"].get("initContainerStatuses") or ():
                ended = (each.get("state") or {}).get("terminated")
                if each["name"] == INITIALIZER and ended:
                    return {"download": _seconds(ended["startedAt"], ended["finishedAt"])}
        return {}


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
