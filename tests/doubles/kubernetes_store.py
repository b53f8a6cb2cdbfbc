"""The objects of the API server double: versions, watches, what is refused and with which words.

`kubernetes` puts them on the wire; `field_ownership` says what an apply does.
"""

import base64
import binascii
import copy
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.doubles.field_ownership import Ownership, leaves, shown

Object = dict[str, Any]
#: Group and version, plural name, namespace ("" for none), name.
Place = tuple[str, str, str, str]

_BUILT_IN = {
    "v1": "Namespace:namespaces Node:nodes ConfigMap:configmaps! Secret:secrets! Service:services! "
    "Pod:pods! Event:events! ServiceAccount:serviceaccounts! "
    "PersistentVolumeClaim:persistentvolumeclaims!",
    "apps/v1": "Deployment:deployments! StatefulSet:statefulsets! ReplicaSet:replicasets! "
    "DaemonSet:daemonsets!",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition:customresourcedefinitions",
}
_NAME = re.compile(r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")


class Refused(Exception):
    """An answer that is a `Status` document."""

    def __init__(self, code: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.status = {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "reason": reason, "message": message, "details": details,
        }  # fmt: skip


@dataclass(frozen=True)
class Served:
    """A kind that the server has."""

    group_version: str
    kind: str
    plural: str
    namespaced: bool


def _served(version: str, described: str) -> Served:
    kind, plural = described.rstrip("!").split(":")
    return Served(version, kind, plural, described.endswith("!"))


@dataclass
class _Kept:
    document: Object
    ownership: Ownership = field(default_factory=Ownership)


class Store:
    """All objects of one server; every method may be called from any thread."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.served = [
            _served(version, each) for version, kinds in _BUILT_IN.items() for each in kinds.split()
        ]
        #: Says why an object is denied, or None.
        self.admission: Callable[[Object], str | None] = lambda _: None
        self.history: list[tuple[int, str, Place, Object]] = []
        self.oldest = 0
        self.revision = 100
        self._kept: dict[Place, _Kept] = {}
        with self.changed:
            for name in ("default", "kube-system"):
                self._write(("v1", "namespaces", "", name), _namespace(name))

    def kind(self, group_version: str, plural: str) -> Served:
        for each in self.served:
            if (each.group_version, each.plural) == (group_version, plural):
                return each
        raise Refused(404, "NotFound", "the server could not find the requested resource")

    def get(self, place: Place) -> Object:
        with self.changed:
            if place not in self._kept:
                _, plural, _, name = place
                raise Refused(404, "NotFound", f'{plural} "{name}" not found', name=name)
            return copy.deepcopy(self._kept[place].document)

    def listed(self, group_version: str, plural: str, namespace: str) -> list[Object]:
        with self.changed:
            return [
                copy.deepcopy(kept.document)
                for place, kept in sorted(self._kept.items())
                if place[:2] == (group_version, plural) and namespace in ("", place[2])
            ]

    def apply(
        self, place: Place, body: Object, manager: str, *, force: bool, dry_run: bool
    ) -> Object:
        with self.changed:
            self._validate(place, body)
            kept = self._kept.get(place) or _Kept(_new(self.kind(*place[:2]), place))
            ownership, live = copy.deepcopy(kept.ownership), kept.document
            wanted = leaves(body)
            found = ownership.conflicts(live, wanted, (manager, "Apply"))
            if found and not force:
                raise _conflict(found, place[0])
            merged = ownership.apply(live, wanted, (manager, "Apply"))
            return self._commit(place, merged, ownership, dry_run=dry_run)

    def create(self, place: Place, body: Object, manager: str, *, dry_run: bool) -> Object:
        with self.changed:
            self._validate(place, body)
            _, plural, _, name = place
            if place in self._kept:
                raise Refused(409, "AlreadyExists", f'{plural} "{name}" already exists', name=name)
            new = _new(self.kind(*place[:2]), place)
            made = _merged(new, body)
            ownership = Ownership()
            ownership.update(new, made, (manager, "Update"))
            return self._commit(place, made, ownership, dry_run=dry_run)

    def patch(self, place: Place, body: Object, manager: str) -> Object:
        with self.changed:
            before = self.get(place)
            after = _merged(before, body)
            self._validate(place, after)
            ownership = copy.deepcopy(self._kept[place].ownership)
            ownership.update(before, after, (manager, "Update"))
            return self._commit(place, after, ownership, dry_run=False)

    def delete(self, place: Place) -> None:
        with self.changed:
            found = self.get(place)
            if found["metadata"].get("finalizers"):
                found["metadata"].setdefault("deletionTimestamp", _now())
                self._write(place, found)
                return
            if place[1] == "namespaces":
                inside = [each for each in self._kept if each[2] == place[3]]
                for each in inside:
                    self._remove(each)
            self._remove(place)

    def put(self, document: Object) -> Object:
        """As a controller writes it, status and all: what is there already is merged into."""
        with self.changed:
            kind = next(
                each
                for each in self.served
                if (each.group_version, each.kind) == (document["apiVersion"], document["kind"])
            )
            about = document["metadata"]
            namespace = about.get("namespace", "default") if kind.namespaced else ""
            place = (kind.group_version, kind.plural, namespace, about["name"])
            kept = self._kept.get(place)
            live = kept.document if kept else _new(kind, place)
            return self._write(place, _merged(live, document))

    def compact(self) -> None:
        """Forget what changed: a watch from any earlier version is told that it expired."""
        with self.changed:
            self.revision += 1
            self.oldest = self.revision
            self.history.clear()
            self.changed.notify_all()

    def _commit(
        self, place: Place, after: Object, ownership: Ownership, *, dry_run: bool
    ) -> Object:
        denied = self.admission(after)
        if denied:
            message = f'admission webhook "judge.example" denied the request: {denied}'
            raise Refused(403, "Forbidden", message)
        kept = self._kept.get(place)
        if dry_run or (kept and (kept.document, kept.ownership) == (after, ownership)):
            return after
        after["metadata"]["managedFields"] = ownership.described(place[0])
        if kept and kept.document.get("spec") != after.get("spec"):
            after["metadata"]["generation"] = after["metadata"].get("generation", 1) + 1
        written = self._write(place, after, ownership)
        if place[1] == "customresourcedefinitions":
            self._establish(place, after)
        return written

    def _write(self, place: Place, document: Object, ownership: Ownership | None = None) -> Object:
        about = document["metadata"]
        kept = self._kept.get(place)
        if kept and "deletionTimestamp" in about and not about.get("finalizers"):
            self._remove(place)
            return document
        self.revision += 1
        about["resourceVersion"] = str(self.revision)
        self._kept[place] = _Kept(
            copy.deepcopy(document), ownership or (kept.ownership if kept else Ownership())
        )
        self._tell("MODIFIED" if kept else "ADDED", place, document)
        return document

    def _remove(self, place: Place) -> None:
        self.revision += 1
        self._tell("DELETED", place, self._kept.pop(place).document)

    def _tell(self, event: str, place: Place, document: Object) -> None:
        self.history.append((self.revision, event, place, copy.deepcopy(document)))
        self.changed.notify_all()

    def _establish(self, place: Place, definition: Object) -> None:
        spec = definition["spec"]
        for version in spec["versions"]:
            names = spec["names"]
            kind = Served(
                f"{spec['group']}/{version['name']}", names["kind"], names["plural"],
                spec["scope"] == "Namespaced",
            )  # fmt: skip
            if kind not in self.served:
                self.served.append(kind)
        self._kept[place].document["status"] = {
            "conditions": [{"type": "Established", "status": "True"}]
        }

    def _validate(self, place: Place, body: Object) -> None:
        version, plural, namespace, name = place
        if namespace and ("v1", "namespaces", "", namespace) not in self._kept:
            raise Refused(404, "NotFound", f'namespaces "{namespace}" not found', name=namespace)
        if not _NAME.match(name):
            kind = self.kind(version, plural).kind
            cause = {"reason": "FieldValueInvalid", "field": "metadata.name", "message": "bad name"}
            message = f'{kind} "{name}" is invalid: metadata.name: Invalid value: "{name}"'
            raise Refused(422, "Invalid", message, causes=[cause])
        if plural == "configmaps" and (more := body.keys() - _OF_A_CONFIGMAP):
            message = (
                f"failed to create typed patch object: .{min(more)}: field not declared in schema"
            )
            raise Refused(500, "", message)
        if plural == "secrets":
            _require_base64(body.get("data") or {})


_OF_A_CONFIGMAP = {"apiVersion", "kind", "metadata", "data", "binaryData", "immutable"}


def _require_base64(values: Mapping[str, str]) -> None:
    for each in values.values():
        try:
            base64.b64decode(each, validate=True)
        except binascii.Error as error:
            # The real one does not quote the value here; others of its sentences do.
            message = f"failed to convert new object: illegal base64 data in {each}"
            raise Refused(500, "", message) from error


def _conflict(found: list[Any], api_version: str) -> Refused:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "field": shown(path),
            "message": f'conflict with "{other[0]}" using {api_version}',
        }
        for other, path in found
    ]
    count = f"{len(causes)} conflict{'s' if len(causes) > 1 else ''}"
    return Refused(409, "Conflict", f"Apply failed with {count}", causes=causes)


def _new(kind: Served, place: Place) -> Object:
    about: Object = {"name": place[3], "uid": str(uuid.uuid4()), "creationTimestamp": _now()}
    if kind.namespaced:
        about["namespace"] = place[2]
    about["generation"] = 1
    return {"apiVersion": kind.group_version, "kind": kind.kind, "metadata": about}


def _namespace(name: str) -> Object:
    return _new(Served("v1", "Namespace", "namespaces", False), ("v1", "namespaces", "", name))


def _merged(before: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    after = copy.deepcopy(before) if isinstance(before, dict) else {}
    for key, value in patch.items():
        if value is None:
            after.pop(key, None)
        else:
            after[key] = _merged(after.get(key), value)
    return after


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
