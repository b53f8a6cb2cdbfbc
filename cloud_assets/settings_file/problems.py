"""What pydantic finds wrong, in our words, and by the keys that the file has."""

from typing import Any

from pydantic import ValidationError

from cloud_assets.settings_file.document import Document, Location, named
from cloud_assets.settings_file.unknown_keys import mistake

_WORDS = {
    "missing": "is missing; add it",
    "int_type": "is no whole number; write one without quotes",
    "bool_type": "is neither true nor false; write one without quotes",
    "string_type": "is no text; put it in quotes",
    "tuple_type": "is no list; begin each entry with `- `",
    "model_type": "is no mapping; write each setting as `name: value`",
    "dict_type": "is no mapping; write each setting as `name: value`",
    "greater_than_equal": "is too small; take at least {ge}",
    "less_than_equal": "is too large; take at most {le}",
}


def problems(document: Document, part: Location, error: ValidationError) -> list[tuple[int, str]]:
    """Each mistake as its line and `setting: what is wrong; the fix`."""
    found = []
    for each in error.errors():
        location = (*part, *filter(_is_in_the_file, each["loc"]))
        found.append((document.line(location), f"{named(location)}: {_text(location, each)}"))
    return found


def _is_in_the_file(step: str | int) -> bool:
    """Steps in parentheses name the shape that was meant (`settings.machines.nodes`)."""
    return not str(step).startswith("(")


def _text(location: Location, error: Any) -> str:
    kind, of_platform = error["type"], location[:1] == ("platform",)
    if kind == "extra_forbidden":
        return mistake(location)
    if location == ("version",):
        return 'is no version that is known here; write "1.0", with the quotes'
    if kind in _WORDS and (kind == "missing" or not of_platform):
        return _WORDS[kind].format(**error.get("ctx", {}))
    return str(error["msg"]).removeprefix("Value error, ")
