"""What several charts need: where each lies, how an image is named, values over values. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from cloud_assets.settings import Settings
from cloud_assets.settings.charts import Certificates, GpuOperator
from resources.helm import Chart, Installation


@dataclass(frozen=True)
class Image:
    """`registry.local/team/tool:1.2`, or with `@sha256:…`, taken apart as charts want it."""

    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def of(cls, name: str) -> Self:
        rest, _, digest = name.partition("@")
        repository, colon, tag = rest.rpartition(":")
        # The colon of a registry's port is no tag's.
        if not colon or "/" in tag:
            repository, tag = rest, ""
        return cls(repository, tag, digest)

    @property
    def folder(self) -> str:
        return self.repository.rpartition("/")[0]

    @property
    def last(self) -> str:
        return self.repository.rpartition("/")[2]


def installation(
    name: str, settings: Settings, wanted: Certificates | GpuOperator, given: Mapping[str, Any]
) -> Installation:
    """The one release of a service that is one chart; the site's own values have the last word."""
    return Installation(
        name,
        chart(name, settings.chart(name), wanted.version),
        wanted.namespace,
        merged(given, wanted.values),
        adopts=wanted.adopt,
    )


def chart(name: str, place: str, version: str) -> Chart:
    """The chart at a path, an `oci://` address, an archive's URL, or in a repository."""
    if place.startswith("oci://"):
        return Chart(place, version=version)
    if place.startswith(("http://", "https://")) and not place.endswith(".tgz"):
        return Chart(name, repository=place, version=version)
    return Chart(place)


def merged(values: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """As helm lays values over one another: maps are joined, anything else is replaced."""
    found = dict(values)
    for key, value in more.items():
        before = found.get(key)
        joined = isinstance(before, Mapping) and isinstance(value, Mapping)
        found[key] = merged(before, value) if joined and before is not None else value
    return found
