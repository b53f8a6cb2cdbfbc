"""What an apply changed: the paths that differ, never a value. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from resources.kubernetes.reference import Object, Reference

#: The server's own, different after every write.
_SERVERS = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")

Outcome = Literal["created", "changed", "unchanged", "deleted"]


@dataclass(frozen=True)
class Change:
    """What became of one object; `paths` such as `.spec.replicas` where it was changed."""

    reference: Reference
    outcome: Outcome
    paths: tuple[str, ...] = ()

    def __str__(self) -> str:
        paths = f": {', '.join(self.paths)}" if self.paths else ""
        return f"{self.reference} {self.outcome}{paths}"


def change(before: Object | None, after: Object) -> Change:
    """From what was there, None for nothing, to what is there now."""
    reference = Reference.of(after)
    if before is None:
        return Change(reference, "created")
    paths = differences(before, after)
    return Change(reference, "changed" if paths else "unchanged", paths)


def differences(before: Object, after: Object) -> tuple[str, ...]:
    """The paths that differ, apart from `status` and what the server counts; sorted.

    Items of a list that have names go by them: `.spec.containers[web].image`.
    """
    return tuple(sorted(set(_paths(_own(before), _own(after), ""))))


def _own(found: Object) -> Object:
    about = {key: value for key, value in found["metadata"].items() if key not in _SERVERS}
    rest = {key: value for key, value in found.items() if key not in ("status", "metadata")}
    return {"metadata": about, **rest}


def _paths(before: Any, after: Any, path: str) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in before.keys() | after.keys():
            if before.get(key) != after.get(key):
                yield from _paths(before.get(key), after.get(key), f"{path}{_segment(key)}")
    elif (names := _named(before)) is not None and (others := _named(after)) is not None:
        for name in names.keys() | others.keys():
            if names.get(name) != others.get(name):
                yield from _paths(names.get(name), others.get(name), f"{path}[{name}]")
        if names == others and before != after:
            yield path
    elif before != after:
        yield path


def _segment(key: str) -> str:
    return f"[{key}]" if "." in key or "/" in key else f".{key}"


def _named(value: Any) -> dict[str, Any] | None:
    """The items of a list by their names; None where it is no list of named things."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return None
    if not all(isinstance(item, Mapping) and isinstance(item.get("name"), str) for item in value):
        return None
    named = {item["name"]: item for item in value}
    return named if len(named) == len(value) else None
