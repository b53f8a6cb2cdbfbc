"""What a chart renders to, and how two renderings differ. Pure."""

from collections.abc import Iterable
from typing import Any

import yaml

from resources.errors import PermanentError, UsageError
from resources.kubernetes.changes import Change, differences
from resources.kubernetes.reference import Object, Reference


def documents(text: str, action: str) -> list[Object]:
    """The objects of a rendered text. Raises PermanentError for what is none."""
    try:
        found = [each for each in yaml.load_all(text, Loader=_LOADER) if each]
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        reason = f"the chart renders to no YAML{f' (line {place.line + 1})' if place else ''}"
        # The parser's own words quote the text, which may hold secrets.
        raise PermanentError("Helm", action, reason, hint="correct the chart") from None
    flat = [item for each in found for item in _items(each)]
    try:
        for each in flat:
            Reference.of(each)
    except (UsageError, AttributeError) as error:
        reason = "the chart renders to something that is no object"
        raise PermanentError("Helm", action, reason, hint="correct the chart") from error
    return flat


def changes(before: Iterable[Object], after: Iterable[Object]) -> list[Change]:
    """What is created, changed and deleted from one rendering to the next."""
    old = {Reference.of(each): each for each in before}
    new = {Reference.of(each): each for each in after}
    made = []
    for reference, each in new.items():
        paths = differences(old[reference], each) if reference in old else ()
        if reference not in old:
            made.append(Change(reference, "created"))
        elif paths:
            made.append(Change(reference, "changed", paths))
    return made + [Change(each, "deleted") for each in old if each not in new]


def _items(document: Any) -> list[Any]:
    if isinstance(document, dict) and document.get("kind") == "List":
        return list(document.get("items") or ())
    return [document]


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
