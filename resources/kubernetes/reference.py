"""What names one object of a cluster, and the plain documents that objects are."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from resources.errors import UsageError

#: An object as the API server gives it: `apiVersion`, `kind`, `metadata` and the rest.
Object = dict[str, Any]

#: A segment of a path; roles have colons in their names.
_NAME = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?$")


@dataclass(frozen=True)
class Kind:
    """`apps/v1` and `Deployment`."""

    api_version: str
    kind: str

    def __str__(self) -> str:
        group = self.api_version.rpartition("/")[0]
        return f"{self.kind}.{group}" if group else self.kind


@dataclass(frozen=True)
class Reference:
    """One object; `namespace` is None for kinds that have none.

    Raises UsageError for a name that is none, such as one with a slash.
    """

    api_version: str
    kind: str
    name: str
    namespace: str | None = None

    def __post_init__(self) -> None:
        for name in (self.name, self.namespace or "none"):
            if not _NAME.match(name):
                raise UsageError(f"`{name}` cannot be the name of a {self.kind} or its namespace")

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Self:
        """Of a manifest or an object. Raises UsageError where it lacks what names it."""
        about = manifest.get("metadata")
        about = about if isinstance(about, Mapping) else {}
        parts = (manifest.get("apiVersion"), manifest.get("kind"), about.get("name"))
        if not all(isinstance(part, str) and part for part in parts):
            raise UsageError(
                f"a manifest lacks apiVersion, kind or metadata.name: it says {parts}",
                hint="every document needs the three of them",
            )
        namespace = about.get("namespace")
        return cls(str(parts[0]), str(parts[1]), str(parts[2]), namespace or None)

    @property
    def of_kind(self) -> Kind:
        return Kind(self.api_version, self.kind)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"


def uid(found: Object | None) -> str:
    """What tells an object from a later one of the same name; empty for None."""
    return str(found["metadata"].get("uid", "")) if found else ""
