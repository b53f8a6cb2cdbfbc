"""Services that are manifests: applied as a set, with credentials drawn once, until rolled out."""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cloud_assets.services.manifests import parts
from cloud_assets.services.manifests.credentials import Credentials
from cloud_assets.services.service import Status
from cloud_assets.services.site import Site
from cloud_assets.settings import Settings
from resources.errors import NeedsRepair, TransientError
from resources.kubernetes import (
    Change,
    Kubernetes,
    Object,
    Prune,
    Reference,
    apply_all,
    rolled_out,
)

#: The set of the namespaces, which several services share.
NAMESPACES = "ai-how-services"
_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
_DRAWN_BYTES = 24
_SLOW = "mend what it names, or give `services.timeout_seconds` more; what was made stays"
#: What a plan shows of a Secret that is yet to be drawn.
_UNKNOWN = "unknown"


class Afterwards(Protocol):
    """What is left to do with a service that is up; a dry run finds it in any state."""

    def __call__(self, site: Site, *, dry_run: bool) -> list[Change]: ...


@dataclass(frozen=True)
class ManifestSet:
    """`service.Convergence` for one service.

    `manifests` takes what changes with the `credentials`, so that pods follow them. `afterwards`
    does what manifests cannot, once all is up, and says what that changed, or would.
    """

    name: str
    manifests: Callable[[Settings, str], Sequence[Object]]
    credentials: Callable[[Settings], Sequence[Credentials]] = field(default=lambda _: ())
    afterwards: Afterwards | None = None

    def part_of(self, settings: Settings) -> str:
        """The set of one namespace: two platforms on a cluster never prune one another's."""
        return f"ai-how-{self.name}-{settings.services.namespace}"

    def plan(self, site: Site) -> list[Change]:
        changes = self._apply(site, dry_run=True)
        return changes + (self.afterwards(site, dry_run=True) if self.afterwards else [])

    def converge(self, site: Site) -> list[Change]:
        changes = self._apply(site, dry_run=False)
        self._await(site, [each.reference for each in changes if each.outcome != "deleted"])
        return changes + (self.afterwards(site, dry_run=False) if self.afterwards else [])

    def status(self, site: Site) -> Status:
        wanted = [Reference.of(each) for each in self.manifests(site.settings, _UNKNOWN)]
        workloads = [each for each in wanted if each.kind in _WORKLOADS]
        found = {each: site.kubernetes.get(each) for each in workloads}
        images = tuple(sorted({image for each in found.values() for image in _images(each)}))
        for reference, each in found.items():
            if each is None:
                return Status("absent", images=images)
            if not rolled_out().holds(each):
                return Status("starting", site.kubernetes.why(reference), images)
        return Status("running", images=images)

    def _apply(self, site: Site, *, dry_run: bool) -> list[Change]:
        cluster, settings = site.kubernetes, site.settings
        space = parts.namespace(settings.services.namespace)
        changes = apply_all(cluster, [space], part_of=NAMESPACES, dry_run=dry_run)
        # A server asked for a plan knows nothing of a namespace that is only planned.
        new = dry_run and changes[0].outcome == "created"
        kept = [
            keep(cluster, each, dry_run=dry_run, absent=new) for each in self.credentials(settings)
        ]
        changes += [change for change, _ in kept]
        manifests = self.manifests(settings, _joined(version for _, version in kept))
        if new:
            return [*changes, *(Change(Reference.of(each), "created") for each in manifests)]
        return changes + apply_all(
            cluster,
            manifests,
            part_of=self.part_of(settings),
            prune=Prune.SAFE,
            force=True,
            dry_run=dry_run,
        )

    def _await(self, site: Site, references: Sequence[Reference]) -> None:
        patience = site.settings.services.timeout_seconds
        deadline = time.monotonic() + patience
        for each in references:
            if each.kind in _WORKLOADS:
                left = max(deadline - time.monotonic(), 1.0)
                try:
                    site.kubernetes.wait(each, rolled_out(), timeout_seconds=left)
                except TransientError as error:
                    # It was tried for all this time: the next attempt is the next run's.
                    action = f"bring {self.name} up within {patience:g} s"
                    reason = error.reason
                    raise NeedsRepair("the cluster", action, reason, hint=_SLOW) from error


def keep(
    cluster: Kubernetes, wanted: Credentials, *, dry_run: bool = False, absent: bool = False
) -> tuple[Change, str]:
    """Have the Secret: drawn where there is none, else as it is; and what changes when it does.

    Raises NeedsRepair where the one that is there lacks a key.
    """
    reference = Reference("v1", "Secret", wanted.name, wanted.namespace)
    found = None if absent else cluster.get(reference)
    if found is None and not dry_run:
        drawn = {key: secrets.token_urlsafe(_DRAWN_BYTES) for key in wanted.drawn}
        # Where another made it meanwhile, theirs counts.
        made = cluster.create(wanted.manifest(drawn))
        found = cluster.get(reference)
        if found is None:
            raise TransientError("Kubernetes", f"keep {reference}", "it was deleted meanwhile")
        return Change(reference, "created" if made else "unchanged"), _version(found)
    if found is None:
        return Change(reference, "created"), _UNKNOWN
    missing = sorted(wanted.keys - (found.get("data") or {}).keys())
    if missing:
        raise NeedsRepair(
            "Kubernetes",
            f"use {reference}",
            f"it lacks {', '.join(missing)}",
            hint="add the keys, or delete the Secret to have it drawn anew",
        )
    return Change(reference, "unchanged"), _version(found)


def _version(found: Object) -> str:
    """Another after every change of the Secret, and nothing of what it holds."""
    about = found["metadata"]
    return f"{about['uid']}.{about['resourceVersion']}"


def _joined(versions: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(versions).encode()).hexdigest()[:16]


def _images(found: Object | None) -> list[str]:
    spec = ((found or {}).get("spec") or {}).get("template", {}).get("spec", {})
    return [str(each["image"]) for each in spec.get("containers", ())]
