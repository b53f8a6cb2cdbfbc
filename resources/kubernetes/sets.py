"""Sets of manifests: applied in an order that works, labelled, and pruned of what left the set.

What belongs to a set is what carries its labels and was applied by our field manager; nothing is
kept beside the cluster. Services' labels are copied to their EndpointSlices, for one.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from resources.errors import ExternalError
from resources.kubernetes import conditions, order
from resources.kubernetes.api.failures import Forbidden, NotFound
from resources.kubernetes.changes import Change
from resources.kubernetes.client import Kubernetes
from resources.kubernetes.reference import Kind, Object, Reference

_ESTABLISHED_SECONDS = 60.0
#: What holds what cannot be made again: data, and all objects of a namespace or a kind.
_KEPT = frozenset(
    {"Namespace", "CustomResourceDefinition", "PersistentVolumeClaim", "PersistentVolume"}
)


class Prune(StrEnum):
    """`safe` keeps namespaces, definitions of kinds, volumes and their claims; `all` does not."""

    NOTHING = "nothing"
    SAFE = "safe"
    ALL = "all"


def apply_all(
    cluster: Kubernetes,
    manifests: Iterable[Mapping[str, Any]],
    *,
    part_of: str,
    prune: Prune = Prune.NOTHING,
    force: bool = False,
    dry_run: bool = False,
) -> list[Change]:
    """What became of each manifest in the order of its application, then what was deleted.

    Stops at the first that fails; what came before stays, and the same call again goes on.
    Raises what `Kubernetes.apply` raises, UsageError for manifests that name nothing.
    """
    wanted = [order.labelled(each, part_of) for each in order.in_order(manifests)]
    references = order.without_doubles(wanted)
    made: list[Change] = []
    for manifest, reference in zip(wanted, references, strict=True):
        if dry_run and _is_to_come(reference, made, wanted):
            made.append(Change(reference, "created"))
            continue
        made.append(cluster.apply(manifest, force=force, dry_run=dry_run))
        if reference.kind == "CustomResourceDefinition" and not dry_run:
            _await_kind(cluster, reference, manifest)
    if prune is not Prune.NOTHING:
        kept = [each.reference for each in made]
        made += _pruned(cluster, kept, part_of=part_of, prune=prune, dry_run=dry_run)
    return made


def members(cluster: Kubernetes, part_of: str) -> list[Object]:
    """Everything in the cluster that was applied as part of the set, of whatever kind."""
    labels = order.labels(part_of)
    found: dict[str, Object] = {}
    for each in cluster.connection.kinds(f"list what is part of {part_of}"):
        for item in _listed(cluster, Kind(each.group_version, each.kind), labels):
            if _is_applied_by_us(item):
                # Some kinds are served by two groups, as one and the same object.
                found.setdefault(item["metadata"]["uid"], item)
    return list(found.values())


def _pruned(
    cluster: Kubernetes,
    kept: Sequence[Reference],
    *,
    part_of: str,
    prune: Prune,
    dry_run: bool,
) -> list[Change]:
    """Deletes in the reverse order; versions of one kind are one kind."""
    names = {_without_version(each) for each in kept}
    spared = _KEPT if prune is Prune.SAFE else frozenset()
    stale = [
        reference
        for reference in map(Reference.of, members(cluster, part_of))
        if _without_version(reference) not in names and reference.kind not in spared
    ]
    stale.sort(key=lambda each: order.step(each.kind), reverse=True)
    for each in stale:
        if not dry_run:
            cluster.delete(each)
    return [Change(each, "deleted") for each in stale]


def _without_version(reference: Reference) -> tuple[str, str, str | None]:
    return str(reference.of_kind), reference.name, reference.namespace


def _listed(cluster: Kubernetes, kind: Kind, labels: Mapping[str, str]) -> list[Object]:
    try:
        return cluster.listed(kind, labels=labels)
    except (Forbidden, NotFound):
        # No right to list it, so it was not applied with these rights either; or it went meanwhile.
        return []


def _is_applied_by_us(found: Object) -> bool:
    entries = found["metadata"].get("managedFields") or ()
    return any(
        (each.get("manager"), each.get("operation")) == (order.FIELD_MANAGER, "Apply")
        for each in entries
    )


def _is_to_come(
    reference: Reference, made: Sequence[Change], wanted: Sequence[Mapping[str, Any]]
) -> bool:
    """Whether a dry run cannot ask the server, as it lacks the namespace or the kind as yet."""
    new = {each.reference for each in made if each.outcome == "created"}
    definitions = {
        Kind(f"{each['spec']['group']}/{version['name']}", each["spec"]["names"]["kind"])
        for each in wanted
        if each["kind"] == "CustomResourceDefinition" and Reference.of(each) in new
        for version in each["spec"]["versions"]
    }
    namespaces = {each.name for each in new if each.kind == "Namespace"}
    return reference.namespace in namespaces or reference.of_kind in definitions


def _await_kind(cluster: Kubernetes, reference: Reference, manifest: Mapping[str, Any]) -> None:
    """Until the definition is in force and the server lists the kind, which it does a little later.

    Raises TransientError when it does not come.
    """
    deadline = time.monotonic() + _ESTABLISHED_SECONDS
    established = conditions.condition("Established")
    cluster.wait(reference, established, timeout_seconds=_ESTABLISHED_SECONDS)
    spec = manifest["spec"]
    for version in (each["name"] for each in spec["versions"] if each.get("served")):
        kind = Kind(f"{spec['group']}/{version}", spec["names"]["kind"])
        while not _is_listed(cluster, kind, last=time.monotonic() > deadline):
            time.sleep(0.1)


def _is_listed(cluster: Kubernetes, kind: Kind, *, last: bool) -> bool:
    try:
        cluster.connection.resource(kind, f"use {kind}")
    except ExternalError:
        if last:
            raise
        return False
    return True
