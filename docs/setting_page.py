"""The reference page of `cluster.yaml`, from the JSON Schema of its `platform:` part."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cloud_assets.settings import Settings
from docs.tables import GENERATED, sentence, table

INTRODUCTION = """\
The platform reads the `platform:` part of `cluster.yaml`. It looks for the file that
`AI_HOW_CLUSTER` or `--cluster` names, else for `cluster.yaml` in the working directory, else for
the one that the demo left in `.ai-how/`. Without a file every setting has its default and
everything is below `.ai-how/`.

Relative paths are relative to the directory of the file. A name that is not listed here is an
error; every error names its file and line. `ai-how schema` prints the same as JSON Schema.
`AI_HOW_HOME` overrides `platform.home`. Complete files are in [examples](../../examples/).

Credentials never stand in this file. The object store takes `AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` from the environment of `ai-how up`.
"""
BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
}

Schema = Mapping[str, Any]


def setting_page() -> str:
    """The page as Markdown."""
    lines = [GENERATED, "", "# Settings", "", INTRODUCTION]
    for path, section in sections():
        lines += [f"## `{path}`", "", sentence(section.get("description", "")), ""]
        rows = [
            (
                f"`{name}`",
                _type(one),
                _default(one, required=name in section.get("required", ())),
                sentence(one.get("description", "")),
            )
            for name, one in section["properties"].items()
            if not _refers(one)
        ]
        lines += [*table(("setting", "type", "default", "meaning"), rows), ""]
    return "\n".join(lines)


def sections() -> Iterator[tuple[str, Schema]]:
    """Every section by its path in the file, the outer ones first."""
    schema = Settings.model_json_schema()
    waiting: list[tuple[str, Schema]] = [("platform", schema)]
    while waiting:
        path, section = waiting.pop(0)
        yield path, section
        for name, one in section["properties"].items():
            inner = _refers(one)
            if inner is not None:
                told = [sentence(schema["$defs"][inner]["description"])]
                told += [sentence(one["description"])] if "description" in one else []
                whole = {**schema["$defs"][inner], "description": " ".join(told)}
                waiting.append((f"{path}.{name}{_many(one)}", whole))


def _refers(one: Schema) -> str | None:
    """The section that a property holds: itself, where it is given, or several of it."""
    inside = (one, one.get("items"), one.get("additionalProperties"), *one.get("anyOf", ()))
    found = [each["$ref"] for each in inside if isinstance(each, Mapping) and "$ref" in each]
    return str(found[0]).rpartition("/")[2] if found else None


def _many(one: Schema) -> str:
    if one.get("type") == "array":
        return "[]"
    return ".NAME" if "additionalProperties" in one else ""


def _type(one: Schema) -> str:
    if "anyOf" in one:
        return " or ".join(_type(each) for each in one["anyOf"])
    if "enum" in one:
        return " or ".join(f"`{each}`" for each in one["enum"])
    kind = "nothing" if one.get("type") == "null" else str(one.get("type", ""))
    kind = "path" if one.get("format") == "path" else kind
    if isinstance(one.get("additionalProperties"), Mapping):
        kind = f"map of names to {_type(one['additionalProperties'])}"
    bounds = [text.format(f"{one[key]:g}") for key, text in BOUNDS.items() if key in one]
    return f"{kind} {', '.join(bounds)}".rstrip()


def _default(one: Schema, *, required: bool) -> str:
    if required:
        return "required"
    default = one.get("default")
    return "none" if default is None else f"`{json.dumps(default)}`"
