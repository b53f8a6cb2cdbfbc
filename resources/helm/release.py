"""Which chart from where, and what a release of it is. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from resources.errors import UsageError

_NAME = re.compile(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")


@dataclass(frozen=True)
class Chart:
    """A folder or archive, an `oci://` address, or a name in the `repository` at an URL.

    `version` is exact; a folder has its own. Raises UsageError for what helm would take for an
    option.
    """

    name: str
    repository: str | None = None
    version: str | None = None

    def __post_init__(self) -> None:
        for word in (self.name, self.repository or "x", self.version or "x"):
            if not word or word.startswith("-"):
                raise UsageError(f"`{word}` names no chart, repository or version")

    @property
    def words(self) -> list[str]:
        """As helm wants it on its command line."""
        words = [self.name]
        words += ["--repo", self.repository] if self.repository else []
        words += ["--version", self.version] if self.version else []
        return words

    def __str__(self) -> str:
        return f"{self.name}{' ' + self.version if self.version else ''}"


@dataclass(frozen=True)
class Installation:
    """What is wanted: a chart under a release's name in a namespace, with values on top of its own.

    Values may hold secrets, so they show in no text of it. `adopts` says that objects which are
    there already, made by somebody else, become the release's. `keeps` says that they hold what
    cannot be made again, as definitions of kinds do: no failure may remove them.
    """

    release: str
    chart: Chart
    namespace: str
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    adopts: bool = False
    keeps: bool = False

    def __post_init__(self) -> None:
        for word in (self.release, self.namespace):
            if not _NAME.match(word) or len(word) > 53:
                raise UsageError(
                    f"`{word}` cannot be the name of a release or its namespace",
                    hint="up to 53 small letters, digits and `-`, at both ends a letter or digit",
                )


@dataclass(frozen=True)
class Release:
    """One release as the cluster has it; `status` is helm's word, `deployed` when all is well."""

    name: str
    namespace: str
    revision: int
    status: str
    chart: str
    version: str
    deployed_at: datetime

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Of `helm get metadata`."""
        return cls(
            name=str(document["name"]),
            namespace=str(document["namespace"]),
            revision=int(document["revision"]),
            status=str(document["status"]),
            chart=str(document["chart"]),
            version=str(document["version"]),
            deployed_at=datetime.fromisoformat(str(document["deployedAt"])),
        )

    @property
    def is_under_way(self) -> bool:
        """Whether helm works on it, or was killed while it did."""
        return self.status.startswith("pending-") or self.status == "uninstalling"
