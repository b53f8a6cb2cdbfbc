"""Waiting for one slot until a real completion came back, and what it says when it does not come.

What to do with a slot that did not make it is `backend`'s business.
"""

import time
from datetime import datetime

from resources.errors import PermanentError, TransientError
from resources.kserve import manifests, names, runtimes
from resources.kserve.addresses import service_url
from resources.kserve.site import Site
from resources.kubernetes import Condition, Kind, Kubernetes, Object, Reference, rolled_out
from resources.kubernetes.conditions import condition_of
from resources.openai import readiness
from resources.process_serving.runtimes import MLX, last_words
from resources.serving import SlotState

_POD = Kind("v1", "Pod")
_INITIALIZER = "storage-initializer"
#: `status.modelStatus.transitionStatus` of KServe 0.20 that no waiting mends.
_FAILED = frozenset({"BlockedByFailedLoad", "InvalidSpec"})
#: So long a slot is given before the cluster is asked what holds it up.
_LOOK_SECONDS = 5.0
#: What the cluster's sentences hold where no waiting mends it; anything else may come right.
_HOPELESS = (
    "ended with exit status",
    "OOMKilled",
    "cannot start (",
    # The port opens once the model is loaded, or when it cannot be.
    "HTTP probe failed with statuscode",
)
_LOG_LINES = 200


def state_of(found: Object) -> tuple[SlotState, str]:
    """The state of an InferenceService by its own status, and its words where it is not ready."""
    ready, model = condition_of(found, "Ready"), _model_status(found)
    if model.get("transitionStatus") in _FAILED:
        failure = model.get("lastFailureInfo") or {}
        words = f"{failure.get('reason', 'failed')}: {failure.get('message', '')}".strip(": ")
        return SlotState.FAILED, words
    if ready.get("status") == "True":
        return SlotState.READY, ""
    return SlotState.STARTING, str(ready.get("message") or "KServe says nothing of it yet")


def _model_status(found: Object) -> Object:
    return dict((found.get("status") or {}).get("modelStatus") or {})


class Start:
    """One wait for one slot, until `deadline` on the monotonic clock."""

    def __init__(self, cluster: Kubernetes, site: Site, name: str, *, deadline: float) -> None:
        self._cluster = cluster
        self._site = site
        self._name = name
        self._deadline = deadline
        self._reference = manifests.slot_reference(site, name)

    def phases(self, model: str) -> dict[str, float]:
        """The seconds until it was `ready` and until the `first_completion` under `model` came.

        Raises PermanentError with the engine's own words when it cannot start, TransientError at
        the deadline with what the cluster says holds it up.
        """
        began = time.monotonic()
        self._await_ready()
        self._await_rollout()
        ready = time.monotonic()
        self._await_completion(model)
        phases = {"ready": ready - began, "first_completion": time.monotonic() - ready}
        return phases | self._download()

    def _await_ready(self) -> None:
        settled = Condition("ready or failed", _is_settled)
        while True:
            limit = min(_LOOK_SECONDS, self._left())
            try:
                found = self._cluster.wait(self._reference, settled, timeout_seconds=limit)
            except TransientError:
                self._give_up_if_hopeless()
                continue
            if found is not None and state_of(found)[0] is SlotState.READY:
                return
            raise self._failed(found)

    def _await_rollout(self) -> None:
        name = names.predictor_name(self._name)
        deployment = Reference("apps/v1", "Deployment", name, self._site.namespace)
        self._cluster.wait(deployment, rolled_out(), timeout_seconds=self._left())

    def _await_completion(self, model: str) -> None:
        url = service_url(self._cluster, self._site, names.predictor_name(self._name))
        patience = 2.0
        while True:
            try:
                limit = min(patience, self._left())
                readiness.complete(url, model, timeout_seconds=limit)
            except TransientError:
                patience = min(2 * patience, 30.0)
                time.sleep(min(0.2, self._left()))
            else:
                return

    def _give_up_if_hopeless(self) -> None:
        words = self._cluster.why(self._reference)
        if any(each in words for each in _HOPELESS):
            raise self._refused(words)
        self._left(words)

    def _refused(self, words: str) -> PermanentError:
        said = "; ".join(filter(None, (words, self._last_words())))
        return PermanentError(f"the slot {self._name}", "start its model server", said)

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

    def _failed(self, found: Object | None) -> PermanentError | TransientError:
        if found is None:
            return TransientError(f"the slot {self._name}", "start", "it was deleted meanwhile")
        words = self._cluster.why(self._reference)
        told = state_of(found)[1]
        return self._refused(words if any(each in words for each in _HOPELESS) else told)

    def _left(self, words: str = "") -> float:
        """Raises TransientError where nothing is left."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TransientError(
                f"the slot {self._name}",
                "answer in time",
                words or self._cluster.why(self._reference),
                hint="give `serving.timeout_seconds` more, or see what keeps the cluster busy",
            )
        return left

    def _download(self) -> dict[str, float]:
        """How long the storage initializer took; nothing where its pod does not tell any more."""
        for pod in self._pods():
            for each in pod["status"].get("initContainerStatuses") or ():
                ended = (each.get("state") or {}).get("terminated")
                if each["name"] == _INITIALIZER and ended:
                    return {"download": _seconds(ended["startedAt"], ended["finishedAt"])}
        return {}


def _is_settled(found: Object | None) -> bool:
    if found is None:
        return True
    seen = int((found.get("status") or {}).get("observedGeneration", 0))
    if seen and seen < int(found["metadata"].get("generation", 0)):
        return False
    return state_of(found)[0] is not SlotState.STARTING


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
