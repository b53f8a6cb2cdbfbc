"""Services that are Helm releases: nothing of others overwritten, up when they are called up.

What a chart is given is left to the module of each; helm itself to `resources.helm`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from cloud_assets.services.charts.watching import Watched
from cloud_assets.services.manifests import parts
from cloud_assets.services.service import Status
from cloud_assets.services.sets import NAMESPACES
from cloud_assets.services.site import Site
from cloud_assets.settings import Settings
from resources.errors import NeedsRepair
from resources.helm import Installation, owner
from resources.kubernetes import (
    Change,
    Kind,
    Kubernetes,
    Object,
    Prune,
    Reference,
    apply_all,
    rolled_out,
)

_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})


@dataclass(frozen=True)
class Releases:
    """`service.Convergence` for one service: its releases, each after the one before.

    `manifests` are what the charts refer to and do not bring. `afterwards` does what takes the
    running service, and says what it changed.
    """

    name: str
    installations: Callable[[Settings], Sequence[Installation]]
    manifests: Callable[[Settings], Sequence[Object]] | None = None
    afterwards: Callable[[Site], list[Change]] | None = None

    @property
    def part_of(self) -> str:
        return f"ai-how-{self.name}"

    def plan(self, site: Site) -> list[Change]:
        changes = self._apply(site, prune=Prune.SAFE, dry_run=True)
        for wanted in self.installations(site.settings):
            changes += _foreseen(site, wanted)
        return changes

    def converge(self, site: Site) -> list[Change]:
        changes = self._apply(site, prune=Prune.NOTHING)
        for wanted in self.installations(site.settings):
            changes += self._install(site, wanted)
        # What the former release referred to goes once nothing refers to it.
        gone = self._apply(site, prune=Prune.SAFE)
        changes += [each for each in gone if each.outcome == "deleted"]
        return [*changes, *(self.afterwards(site) if self.afterwards else ())]

    def status(self, site: Site) -> Status:
        images: set[str] = set()
        for wanted in self.installations(site.settings):
            release = site.helm.status(wanted.release, wanted.namespace)
            if release is None:
                return Status("absent", images=tuple(sorted(images)))
            applied = site.helm.applied(wanted.release, wanted.namespace)
            for reference in placed(site.kubernetes, applied, wanted):
                if reference.kind not in _WORKLOADS:
                    continue
                found = site.kubernetes.get(reference)
                images.update(_images(found))
                if not rolled_out().holds(found):
                    why = site.kubernetes.why(reference)
                    return Status("starting", f"{reference}: {why}", tuple(sorted(images)))
            if release.status != "deployed":
                why = f"helm calls {wanted.namespace}/{wanted.release} {release.status}"
                return Status("starting", why, tuple(sorted(images)))
        return Status("running", images=tuple(sorted(images)))

    def _apply(self, site: Site, *, prune: Prune, dry_run: bool = False) -> list[Change]:
        """The objects beside the charts, and their namespaces before them."""
        if self.manifests is None:
            return []
        manifests = self.manifests(site.settings)
        spaces = sorted({each["metadata"]["namespace"] for each in manifests})
        changes = apply_all(
            site.kubernetes, map(parts.namespace, spaces), part_of=NAMESPACES, dry_run=dry_run
        )
        if dry_run and any(each.outcome == "created" for each in changes):
            return [*changes, *(Change(Reference.of(each), "created") for each in manifests)]
        return changes + apply_all(
            site.kubernetes, manifests, part_of=self.part_of, prune=prune, dry_run=dry_run
        )

    def _install(self, site: Site, wanted: Installation) -> list[Change]:
        """Every object of the release, unchanged ones included."""
        cluster, patience = site.kubernetes, site.settings.services.timeout_seconds
        release = site.helm.settled(wanted, timeout_seconds=patience)
        defined = _define(site, wanted, part_of=self.part_of)
        planned = placed(cluster, site.helm.planned(wanted), wanted)
        found = {each: cluster.get(each) for each in planned}
        others = {each: who for each, who in _owners(found, wanted).items() if release is None}
        if others and not wanted.adopts:
            raise _refusal(self.name, wanted, others)
        lost = [each for each, there in found.items() if release and there is None]
        workloads = [each for each in planned if each.kind in _WORKLOADS]
        with Watched(cluster, workloads) as watched:
            changes = watched.through(
                lambda: site.helm.install_or_upgrade(
                    wanted, timeout_seconds=patience, always=bool(lost)
                )
            )
        # Also of a release that nothing changed: its pods may have gone down since.
        for each in workloads:
            cluster.wait(each, rolled_out(), timeout_seconds=patience)
        told = _told(cluster, wanted, planned, changes)
        # Helm compares what it sent, then and now: it knows nothing of these.
        told |= {each: Change(each, "created") for each in lost}
        told |= {each: Change(each, "changed", ("its owner",)) for each in others}
        return [*defined, *told.values()]


def _define(site: Site, wanted: Installation, *, part_of: str) -> list[Change]:
    """Have the kinds that the chart keeps apart; those that are there stay as they are."""
    missing = [
        each
        for each in site.helm.definitions(wanted)
        if site.kubernetes.get(Reference.of(each)) is None
    ]
    return apply_all(site.kubernetes, missing, part_of=part_of)


def _told(
    cluster: Kubernetes,
    wanted: Installation,
    planned: Iterable[Reference],
    changes: Iterable[Change],
) -> dict[Reference, Change]:
    """What became of each object of the release, unchanged ones included."""
    told = {each: Change(each, "unchanged") for each in planned}
    for change in changes:
        at = _in_place(cluster, change.reference, wanted)
        told[at] = Change(at, change.outcome, change.paths)
    return told


def placed(cluster: Kubernetes, objects: Iterable[Object], wanted: Installation) -> list[Reference]:
    """The references; what names no namespace is in the release's, where its kind has any."""
    return [_in_place(cluster, Reference.of(each), wanted) for each in objects]


def _in_place(cluster: Kubernetes, reference: Reference, wanted: Installation) -> Reference:
    """Some charts name a namespace where there is none, others leave it out where there is one."""
    if not _is_namespaced(cluster, reference.of_kind):
        return replace(reference, namespace=None)
    return replace(reference, namespace=reference.namespace or wanted.namespace)


def _is_namespaced(cluster: Kubernetes, kind: Kind) -> bool:
    try:
        return cluster.is_namespaced(kind)
    except NeedsRepair:
        # A kind that is yet to be defined.
        return True


def _owners(found: Mapping[Reference, Object | None], wanted: Installation) -> dict[Reference, str]:
    """Who else has what the release would make."""
    whose = {each: owner(there, wanted) for each, there in found.items() if there}
    return {each: who for each, who in whose.items() if who}


def _refusal(name: str, wanted: Installation, others: Mapping[Reference, str]) -> NeedsRepair:
    first, who = next(iter(others.items()))
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return NeedsRepair(
        "Helm",
        f"install {wanted.chart} as {wanted.namespace}/{wanted.release}",
        f"what it would make is there already, made by {who}: {first}{more}",
        hint=f"set `services.{name}.adopt: true` to take over what is there, or take `{name}` out "
        "of `services` to leave it to its owner",
    )


def _foreseen(site: Site, wanted: Installation) -> list[Change]:
    """What helm would change; before the first time, what of it is not there yet.

    A server that lacks the kinds of an earlier release cannot be asked for more than that.
    """
    cluster = site.kubernetes
    if site.helm.status(wanted.release, wanted.namespace) is None:
        rendered = placed(cluster, site.helm.render(wanted), wanted)
        return [
            Change(each, "changed" if _is_there(cluster, each) else "created") for each in rendered
        ]
    planned = placed(cluster, site.helm.planned(wanted), wanted)
    told = _told(cluster, wanted, planned, site.helm.diff(wanted))
    lost = {each: Change(each, "created") for each in planned if not _is_there(cluster, each)}
    return list((told | lost).values())


def _is_there(cluster: Kubernetes, reference: Reference) -> bool:
    try:
        return cluster.get(reference) is not None
    except NeedsRepair:
        # No such kind yet, or no right to see it.
        return False


def _images(found: Object | None) -> list[str]:
    pod = ((found or {}).get("spec") or {}).get("template", {}).get("spec", {})
    return [str(each["image"]) for each in pod.get("containers", ())]
