"""The reference pages of `cluster.yaml` from its JSON Schema: `platform:`, and what is beside."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloud_assets.settings import Settings
from cloud_assets.settings.document import ClusterFile
from docs.tables import GENERATED, sentence, table

INTRODUCTION = """\
The platform reads the `platform:` part of `cluster.yaml`; [clusters](clusters.md) has the rest. It
looks for the file that `AI_HOW_CLUSTER` or `--cluster` names, else for `cluster.yaml` in the
working directory or in `config/`, else for the one that the demo left in `.ai-how/`. Without a file
every setting has its default and everything is below `.ai-how/`.

Relative paths are relative to the directory of the file. A name that is not listed here is an
error; every error names its file and line. `ai-how schema` prints the same as JSON Schema.
Variables such as `$HOME` are expanded as [clusters](clusters.md) says. `AI_HOW_HOME` overrides
`platform.home`. Complete files are in [examples](../../examples/).

Credentials never stand in this file. The object store takes `AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` from the environment of `ai-how up`.
"""
CLUSTERS = """\
The parts of `cluster.yaml` beside `platform:`, which is in [settings](settings.md): clusters of
virtual machines. Files of the earlier tool stand here unchanged; keys inside a cluster that it let
through in silence are warnings, since they have no effect. `ai-how validate` looks at all of a file
and names every mistake by its line. That includes what does not go together: addresses outside
their subnet or taken twice, overlapping networks, a device that two machines of a cluster have, a
part of an IOMMU group.

In values `$A`, `${A}`, `${A:-word}`, `${A:=word}`, `${A:+word}` and `${A:?why}` are variables of
the environment as in bash, and `$$` is a dollar sign. `$TOT` is the project: the nearest directory
upwards with `.git`, else that of the file; `$PWD` is the working directory. A value without quotes
is read anew once it is expanded, so `${CORES:-4}` is a number. `ai-how render` prints the outcome,
and that is what the JSON Schema of `ai-how schema` describes.
"""
BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
}

Schema = Mapping[str, Any]


def setting_page() -> str:
    """The page of `platform:` as Markdown."""
    return _page("Settings", INTRODUCTION, sections(Settings.model_json_schema(), "platform"))


def clusters_page() -> str:
    """The page of all that stands beside it."""
    schema = ClusterFile.model_json_schema()
    del schema["properties"]["platform"]
    return _page("Clusters", CLUSTERS, sections(schema, ""))


def _page(title: str, introduction: str, found: Iterable["Part"]) -> str:
    lines = [GENERATED, "", f"# {title}", "", introduction]
    for part in found:
        lines += [f"## `{part.path}`" if part.path else "## Cluster file", ""]
        lines += [part.told, ""]
        properties = part.section["properties"].items()
        rows = [
            (
                f"`{name}`",
                _type(one),
                _default(one, required=name in part.section.get("required", ())),
                sentence(one.get("description", "")),
            )
            for name, one in properties
            if not _refers(one)
        ]
        lines += [*table(("setting", "type", "default", "meaning"), rows), ""] if rows else []
    return "\n".join(lines)


@dataclass
class Part:
    """A section of the file: where it stands, what is told of it, and its schema."""

    path: str
    told: str
    section: Schema
    elsewhere: list[str] = field(default_factory=list)


def sections(schema: Schema, root: str) -> Sequence[Part]:
    """Every section by its path in the file, the outer ones first; each kind at its first place."""
    parts = [Part(root, sentence(schema.get("description", "")), schema)]
    kinds: dict[str, Part] = {}
    for part in parts:
        for name, one in part.section["properties"].items():
            for inner, suffix in _refers(one):
                path = f"{part.path}.{name}{suffix}".lstrip(".")
                if inner in kinds:
                    kinds[inner].elsewhere.append(path)
                    continue
                whole = schema["$defs"][inner]
                told = [sentence(whole["description"])]
                told += [sentence(one["description"])] if "description" in one else []
                kinds[inner] = Part(path, " ".join(told), whole)
                parts.append(kinds[inner])
    for part in parts:
        if part.elsewhere:
            part.told += f" The same at {', '.join(f'`{each}`' for each in part.elsewhere)}."
    return parts


def _refers(one: Schema) -> list[tuple[str, str]]:
    """The sections that a property holds, and how they stand below it: itself, several, by name."""
    if "$ref" in one:
        return [(str(one["$ref"]).rpartition("/")[2], "")]
    found = [inner for each in _choices(one) for inner in _refers(each)]
    for key, suffix in (("items", "[]"), ("additionalProperties", ".NAME")):
        if isinstance(one.get(key), Mapping):
            found += [(name, f"{suffix}{below}") for name, below in _refers(one[key])]
    return found


def _choices(one: Schema) -> Sequence[Schema]:
    return [*one.get("anyOf", ()), *one.get("oneOf", ())]


def _type(one: Schema) -> str:
    if "anyOf" in one:
        return " or ".join(_type(each) for each in one["anyOf"])
    if "const" in one:
        return f"`{one['const']}`"
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
