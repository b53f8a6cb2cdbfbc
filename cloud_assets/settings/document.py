"""All of `cluster.yaml` as one type: clusters of virtual machines, and the platform on them."""

from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from cloud_assets.settings.machines.clusters import Clusters
from cloud_assets.settings.platform import Settings
from cloud_assets.settings.section import Section


class Metadata(Section):
    """What the file is about, for people."""

    name: str = Field(default="", description="a name")
    description: str = Field(default="", description="a sentence")


_PARTS = ("metadata", "global", "clusters", "platform")


def _may_be_empty(schema: dict[str, Any]) -> None:
    """A part may have nothing behind its name, where all of it is commented out."""
    for name in _PARTS:
        part = schema["properties"][name]
        told = {key: part.pop(key) for key in ("default", "description", "title") if key in part}
        schema["properties"][name] = {"anyOf": [part, {"type": "null"}], **told}


class ClusterFile(Section):
    """All of the file. Each part may be missing: without `clusters` there are no machines."""

    model_config = ConfigDict(json_schema_extra=_may_be_empty)

    version: Literal["1.0"] = Field(default="1.0", description="of this format, in quotes")
    metadata: Metadata = Metadata()
    anything: dict[str, Any] = Field(
        default_factory=dict, alias="global", description="for the file's own use, as anchors"
    )
    clusters: Clusters = Clusters()
    platform: Settings = Settings()

    @model_validator(mode="before")
    @classmethod
    def _without_empty_parts(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        return {key: each for key, each in given.items() if each is not None or key not in _PARTS}
