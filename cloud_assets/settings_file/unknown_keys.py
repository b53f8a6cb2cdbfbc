"""Keys that the types do not know: which of them have no effect, and which are mistakes.

The earlier tool took any key inside a cluster and said nothing; such a file still loads, and each
of these keys is told. What is spelt almost like a setting is meant to be one, and stays a mistake.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from cloud_assets.settings.document import ClusterFile
from cloud_assets.settings_file.document import Location

#: How alike two names are, of 1, for one to be a misspelling of the other.
_ALIKE = 0.8
_MIG = (
    "a part of a GPU cannot be given to a machine: that needs NVIDIA's licensed vGPU driver. Pass "
    "the whole GPU by pcie_passthrough; inside the machine Slurm and Kubernetes share its parts"
)
#: With these a machine would be another one than the file says.
_MISTAKES: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "gpu", "gpu_config", "gpu_mdev_uuid", "mdev", "mdev_uuid", "mig", "mig_devices",
            "mig_profile", "mig_uuid", "vgpu",
        ),
        _MIG,
    ),
    "image_path": "no such setting; it is called base_image_path",
}  # fmt: skip
_NAMES = "has no effect: machines are named after their cluster, their part in it and a number"
_GATEWAY = "has no effect: the host has the first address of the subnet"
_NO_EFFECT: Mapping[str, str] = {
    "name": _NAMES,
    "hostname": _NAMES,
    "gateway": _GATEWAY,
    "gateway_ip": _GATEWAY,
}


@dataclass(frozen=True)
class Ignored:
    """A key that has no effect; `text` says so."""

    where: Location
    text: str


def ignored(error: ValidationError, part: Location) -> tuple[Ignored, ...]:
    """The keys among the mistakes of a part that have no effect."""
    found = (_in_the_file(part, each["loc"]) for each in _unknown(error))
    return tuple(Ignored(each, _without_effect(each)) for each in found if _has_no_effect(each))


def without(content: Any, keys: tuple[Ignored, ...], part: Location) -> Any:
    """The same values without these keys, which they keep where an anchor has them elsewhere."""
    for each in keys:
        content = _less(content, each.where[len(part) :])
    return content


def _less(content: Any, where: Location) -> Any:
    copied: Any = list(content) if isinstance(content, list) else dict(content)
    if len(where) == 1:
        del copied[where[0]]
    else:
        copied[where[0]] = _less(content[where[0]], where[1:])
    return copied


def mistake(where: Location) -> str:
    """What is wrong with an unknown key, and the fix."""
    key = str(where[-1])
    if where[0] != "platform" and key in _MISTAKES:
        return _MISTAKES[key]
    meant = _meant(where)
    if meant:
        return f"no such setting; did you mean {meant}?"
    return "no such setting; remove it or mend its spelling"


def _unknown(error: ValidationError) -> Iterator[Any]:
    return (each for each in error.errors() if each["type"] == "extra_forbidden")


def _in_the_file(part: Location, where: Location) -> Location:
    """Steps in parentheses name the shape that was meant (`settings.machines.nodes`)."""
    return (*part, *(step for step in where if not str(step).startswith("(")))


def _has_no_effect(where: Location) -> bool:
    """The earlier tool's own schema was closed at the top and directly below `clusters`."""
    was_open = where[0] == "metadata" or (where[0] == "clusters" and len(where) > 2)
    return was_open and where[-1] not in _MISTAKES and not _meant(where)


def _without_effect(where: Location) -> str:
    key = str(where[-1])
    if where[-2] == "network" and key == "name":
        return "has no effect: a network is named after its cluster"
    return _NO_EFFECT.get(key, "has no effect: there is no such setting")


def _meant(where: Location) -> str:
    """The setting that a key is a misspelling of; "" where it is none."""
    known = {name for section in _sections(where[:-1]) for name in _names(section)}
    close = difflib.get_close_matches(str(where[-1]).lower(), sorted(known), 1, _ALIKE)
    return close[0] if close else ""


def _sections(where: Location) -> set[type[BaseModel]]:
    """The types that may stand at a place."""
    found: set[type[BaseModel]] = {ClusterFile}
    for step in where:
        if isinstance(step, str):
            found = {below for each in found for below in _below(each, step)}
    return found


def _below(section: type[BaseModel], key: str) -> Iterator[type[BaseModel]]:
    for name, field in section.model_fields.items():
        if key in (name, field.alias):
            yield from _within(field.annotation)


def _within(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _within(each)


def _names(section: type[BaseModel]) -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield field.alias or name
