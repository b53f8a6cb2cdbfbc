"""Server-side apply as an API server does it: who owns which leaf, conflicts, what falls away.

Lists whose items go by name are merged item by item, all others are one leaf.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str, ...]
Manager = tuple[str, str]

_BY_NAME = {"containers", "initContainers", "env", "volumes"}
_NOT_OWNED = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}


@dataclass
class Ownership:
    """The leaves of one object by `(manager, Apply or Update)`."""

    fields: dict[Manager, set[Path]] = field(default_factory=dict)

    def conflicts(self, live: Any, wanted: Mapping[Path, Any], manager: Manager) -> list[Any]:
        """`(other manager, path)` where another owns a leaf and would lose its value."""
        now = leaves(live)
        return [
            (other, path)
            for path, value in wanted.items()
            for other, owned in self.fields.items()
            if other != manager and path in owned and path in now and now[path] != value
        ]

    def apply(self, live: Any, wanted: Mapping[Path, Any], manager: Manager) -> Any:
        """The merged object; what the manager had applied before and nobody else owns goes."""
        for other, owned in self.fields.items():
            now = leaves(live)
            if other != manager:
                owned -= {path for path in wanted if now.get(path) != wanted[path]}
        gone = self.fields.get(manager, set()) - wanted.keys()
        others = set().union(*(o for m, o in self.fields.items() if m != manager), set())
        merged = copy.deepcopy(live)
        for path in gone - others:
            _remove(merged, path)
        for path, value in wanted.items():
            _place(merged, path, value)
        self.fields[manager] = set(wanted)
        return merged

    def update(self, before: Any, after: Any, manager: Manager) -> None:
        """After a write that is no apply, what it changed is its writer's alone."""
        old, new = leaves(before), leaves(after)
        changed = {path for path, value in new.items() if old.get(path) != value}
        for owned in self.fields.values():
            owned -= changed | (old.keys() - new.keys())
        self.fields.setdefault(manager, set()).update(changed)

    def described(self, api_version: str) -> list[dict[str, Any]]:
        """As `metadata.managedFields`."""
        found = []
        for (manager, operation), owned in self.fields.items():
            tree: dict[str, Any] = {}
            for path in owned:
                node = tree
                for segment in path:
                    node = node.setdefault(f"f:{segment}", {})
            found.append(
                {
                    "manager": manager,
                    "operation": operation,
                    "apiVersion": api_version,
                    "fieldsType": "FieldsV1",
                    "fieldsV1": tree,
                }
            )
        return [each for each in found if each["fieldsV1"]]


def leaves(value: Any) -> dict[Path, Any]:
    """What can be owned: everything but what names the object."""
    return {path: leaf for path, leaf in _leaves(value, ()) if path not in _NOT_OWNED}


def shown(path: Path) -> str:
    """`.spec.replicas`, as the server writes it in a conflict."""
    return "".join(each if each.startswith("[") else f".{each}" for each in path)


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _leaves(each, (*path, key))
    elif isinstance(value, list) and path and path[-1] in _BY_NAME:
        for each in value:
            yield from _leaves(each, (*path, f'[name="{each["name"]}"]'))
    else:
        yield path, value


def _place(root: Any, path: Path, value: Any) -> None:
    node = root
    for segment, following in zip(path, (*path[1:], ""), strict=True):
        if segment.startswith("["):
            node = _item(node, segment)
        elif following.startswith("["):
            node = node.setdefault(segment, [])
        elif following:
            node = node.setdefault(segment, {})
        else:
            node[segment] = copy.deepcopy(value)


def _item(items: list[Any], segment: str) -> Any:
    name = segment[len('[name="') : -len('"]')]
    found = next((each for each in items if each["name"] == name), None)
    if found is None:
        found = {"name": name}
        items.append(found)
    return found


def _remove(root: Any, path: Path) -> None:
    """Take a leaf away, and what is empty without it."""
    trail = [root]
    for segment in path[:-1]:
        node = trail[-1]
        trail.append(_item(node, segment) if segment.startswith("[") else node.get(segment, {}))
    trail[-1].pop(path[-1], None)
    for parent, segment, child in reversed(list(zip(trail, path, trail[1:], strict=False))):
        if child:
            return
        if isinstance(parent, list):
            parent.remove(child)
        else:
            parent.pop(segment, None)
