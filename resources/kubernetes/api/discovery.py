"""Which kinds a server has, asked when needed and kept in memory.

The client library's own discovery keeps a file under a guessable name in /tmp, shared by users
and by clusters at the same address; and takes a server out of order for one without kinds.
"""

from collections.abc import Callable
from typing import Any

from resources.errors import NeedsRepair
from resources.kubernetes.api.failures import SYSTEM, NotFound
from resources.kubernetes.reference import Kind, Object

#: Sends a GET and gives the document.
Ask = Callable[[str], Object]


class Discovery:
    """What is found is kept; what is not found is asked for again each time."""

    def __init__(self) -> None:
        self._known: dict[Kind, Any] = {}

    def resource(self, kind: Kind, ask: Ask) -> Any:
        """Raises NeedsRepair where the server has no such kind, and what `ask` raises."""
        if kind not in self._known:
            self._learn(kind.api_version, ask)
        if kind not in self._known:
            raise _unknown(kind)
        return self._known[kind]

    def deletable(self, ask: Ask) -> list[Any]:
        """What allows list and delete, of all groups, each in the preferred version."""
        preferred = [each["preferredVersion"]["groupVersion"] for each in ask("/apis")["groups"]]
        for version in ("v1", *preferred):
            self._learn(version, ask)
        return [
            each
            for kind, each in self._known.items()
            if kind.api_version in ("v1", *preferred) and {"list", "delete"} <= set(each.verbs)
        ]

    def _learn(self, api_version: str, ask: Ask) -> None:
        from kubernetes.dynamic.resource import Resource

        group, _, version = api_version.rpartition("/")
        prefix = "apis" if group else "api"
        try:
            listed = ask(f"/{prefix}/{api_version}").get("resources") or []
        except NotFound:
            return
        for each in listed:
            if "/" not in each["name"]:
                own = {key: each[key] for key in ("kind", "name", "namespaced", "verbs")}
                self._known[Kind(api_version, each["kind"])] = Resource(
                    prefix=prefix, group=group, api_version=version, **own
                )


def _unknown(kind: Kind) -> NeedsRepair:
    reason = f"the cluster has no kind {kind.kind} in {kind.api_version}"
    hint = "install what defines this kind, or use a version of it that the cluster serves"
    return NeedsRepair(SYSTEM, f"use {kind}", reason, hint=hint)
