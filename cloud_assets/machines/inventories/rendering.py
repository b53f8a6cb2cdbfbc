"""An inventory as Ansible reads it, as INI or as YAML; pure, the same text for the same values."""

import ast
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from cloud_assets.machines.inventories.groups import Group, Inventory


def rendered(inventory: Inventory, form: str) -> str:
    """`form` is `ini` or `yaml`."""
    return _yaml(inventory) if form == "yaml" else "\n".join(_ini(inventory)) + "\n"


def _yaml(inventory: Inventory) -> str:
    document = {
        "all": {
            "hosts": {name: dict(said) for name, said in inventory.hosts.items()},
            "vars": dict(inventory.variables),
            "children": {each.name: _group(each) for each in inventory.groups},
        }
    }
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000))


def _group(group: Group) -> dict[str, Any]:
    members = {"hosts": group.hosts} if not group.children else {"children": group.children}
    return {kind: {name: {} for name in names} for kind, names in members.items()}


def _ini(inventory: Inventory) -> Iterator[str]:
    yield "[all]"
    for name, said in inventory.hosts.items():
        yield " ".join([name, *_words(said)])
    yield "\n[all:vars]"
    # Of a section, unlike of a host, the rest of the line is the value.
    yield from (f"{key}={_literal(value)}" for key, value in inventory.variables.items())
    for group in inventory.groups:
        yield f"\n[{group.name}{':children' if group.children else ''}]"
        yield from group.children or group.hosts


def _words(said: Mapping[str, Any]) -> Iterator[str]:
    """A host's line is split as a shell does it, then each value is read as Python's."""
    for key, value in said.items():
        yield f"{key}={_quoted(_literal(value))}"


def _quoted(text: str) -> str:
    """In double quotes where that is easier to read."""
    if "'" in text and not set(text) & set('"\\$`'):
        return f'"{text}"'
    return shlex.quote(text)


def _literal(value: Any) -> str:
    """As it is where Ansible takes it for text, and as Python writes it elsewhere."""
    if not isinstance(value, str):
        return repr(value)
    try:
        ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    return repr(value)
