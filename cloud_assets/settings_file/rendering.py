"""The text of a file with values in the place of its variables; comments and order stay."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from cloud_assets.settings_file.document import (
    Document,
    expand,
    read_document,
    variables_of,
    walk,
)
from cloud_assets.settings_file.variables import Expansion

#: An anchor or a tag, which stand before the value that they belong to.
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")


@dataclass(frozen=True)
class Rendered:
    """`used` is how often each variable stands in the values."""

    text: str
    used: Mapping[str, int]


def rendered(path: Path, *, spelling_only: bool = False) -> Rendered:
    """The file at `path` with the values of its variables.

    `spelling_only` takes unset variables for empty. Raises SettingsError with every problem.
    """
    document = read_document(path)
    spans = {
        id(node): (node.start_mark.index, node.end_mark.index)
        for _, node in walk(document.root)
        if isinstance(node, yaml.ScalarNode) and "$" in node.value
    }
    expansion = Expansion(variables_of(path), strict=not spelling_only)
    problems = expand(document.root, (), expansion)
    if problems:
        raise document.error(problems)
    return Rendered(_replaced(document, spans), dict(sorted(expansion.used.items())))


def _replaced(document: Document, spans: Mapping[int, tuple[int, int]]) -> str:
    pieces, at = [], 0
    for _, node in walk(document.root):
        if id(node) in spans and isinstance(node, yaml.ScalarNode):
            start, end = spans[id(node)]
            kept = _PROPERTIES.match(document.text, start, end)
            pieces += [document.text[at : kept.end() if kept else start], _written(node)]
            at = end
    return "".join([*pieces, document.text[at:]])


def _written(node: yaml.ScalarNode) -> str:
    """The value as YAML reads it back: without quotes where it had none and needs none."""
    value = str(node.value)
    if node.style is None and _is_plain(value):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return f"{quoted}\n" if node.style in ("|", ">") else quoted


def _is_plain(value: str) -> bool:
    if not value or any(each in value for each in ",[]{}\n"):
        return False
    try:
        found = yaml.compose(value, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return False
    return isinstance(found, yaml.ScalarNode) and found.style is None and found.value == value
