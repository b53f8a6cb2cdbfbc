"""Carrying out a release: aliases, route and slots, in an order that a crash cannot break.

The alias `champion` is what is wanted, the route is what is so. Aliases move first; whoever comes
next (the same run again, or the drift sensor) moves the route to where the alias points.
"""

from collections.abc import Collection
from datetime import UTC, datetime

from cloud_assets.documents import Outcome
from cloud_assets.keys import CANDIDATE, CHAMPION, PREVIOUS
from resources.mlflow import PROMOTED_TAG, Registry, Version
from resources.serving import Route, ServingBackend, Slot

#: Key and digest of a checkpoint whose slot stays.
Kept = tuple[str, str]


def promote(registry: Registry, backend: ServingBackend, version: Version, slot: Slot) -> None:
    """Make `version`, served by `slot`, the champion. Repeating it changes nothing.

    `previous` is set before `champion`: between the two calls both name the old champion, so a
    rollback in that moment goes nowhere instead of to something older.
    """
    with backend.exclusive(version.model):
        champion = registry.alias(version.model, CHAMPION)
        if champion is None or champion.number != version.number:
            if champion is not None:
                registry.set_alias(champion, PREVIOUS)
            registry.tag(version, {PROMOTED_TAG: datetime.now(UTC).isoformat()})
            registry.set_alias(version, CHAMPION)
        _drop_candidate(registry, version)
        backend.route(version.model, route_to(slot))


def withdraw(
    registry: Registry, backend: ServingBackend, version: Version, *, drop_alias: bool
) -> tuple[str, ...]:
    """Take a candidate's slots away, and its alias if asked, unless its endpoint serves it.

    Nor are those of the champion taken, whose endpoint somebody may have moved a moment ago.
    """
    if drop_alias:
        _drop_candidate(registry, version)
    champion = registry.alias(version.model, CHAMPION)
    if champion is not None and champion.number == version.number:
        return ()
    route = backend.routes().get(version.model)
    if route is not None and route.key == version.key and route.digest == version.digest:
        return ()
    # Two checkpoints may have the same bytes; the digest alone would take away the other's slot.
    own = (version.key, version.digest)
    mine = [slot.name for slot in backend.slots() if (slot.key, slot.digest) == own]
    return tuple(name for name in mine if backend.release(name))


def kept(registry: Registry, models: Collection[str], keep_warm: int) -> set[Kept]:
    """What stays up: each champion, and the `keep_warm` last ones before it."""
    found = (version for model in models for version in _champions(registry, model, keep_warm))
    return {(version.key, version.digest) for version in found}


def tidy(backend: ServingBackend, keep: Collection[Kept], busy: Collection[str]) -> tuple[str, ...]:
    """Release every slot that is not in `keep` and whose key no run is `busy` with."""
    slots = backend.slots()
    spare = [s.name for s in slots if (s.key, s.digest) not in keep and s.key not in busy]
    # Nobody waits for their places: a run that needs one waits for it to become free.
    return tuple(name for name in spare if backend.release(name, confirm=False))


def drop_stale_candidate(registry: Registry, model: str, busy: Collection[str]) -> str | None:
    """Take the alias from a candidate that nothing works on and no release held; its key."""
    candidate = registry.alias(model, CANDIDATE)
    if candidate is None or candidate.outcome == Outcome.HELD or candidate.key in busy:
        return None
    registry.delete_alias(model, CANDIDATE)
    return candidate.key


def _champions(registry: Registry, model: str, former: int) -> list[Version]:
    """The champion, then what a rollback returns to, then those before, so many in all."""
    aliases = [registry.alias(model, CHAMPION)]
    if former:
        aliases.append(registry.alias(model, PREVIOUS))
    found = [version for version in aliases if version is not None]
    if former > 1:
        found += [version for version in registry.promoted(model) if version not in found]
    return found[: former + 1]


def route_to(slot: Slot) -> Route:
    return Route(key=slot.key, digest=slot.digest, url=slot.url, model_name=slot.model_name)


def _drop_candidate(registry: Registry, version: Version) -> None:
    candidate = registry.alias(version.model, CANDIDATE)
    if candidate is not None and candidate.number == version.number:
        registry.delete_alias(version.model, CANDIDATE)
