"""All of `cluster.yaml` as one type: clusters of virtual machines, and the platform on them."""

from typing import Any, Literal

from pydantic import Field

from cloud_assets.settings.machines.clusters import Clusters
from cloud_assets.settings.platform import Settings
from cloud_assets.settings.section import Section


class Metadata(Section):
    """What the file is about, for people."""

    name: str = Field(default="", description="a name")
    description: str = Field(default="", description="a sentence")


class ClusterFile(Section):
    """All of the file. Each part may be missing: without `clusters` there are no machines."""

    version: Literal["1.0"] = Field(default="1.0", description="of this format, in quotes")
    metadata: Metadata = Metadata()
    anything: dict[str, Any] = Field(
        default_factory=dict, alias="global", description="for the file's own use, as anchors"
    )
    clusters: Clusters = Clusters()
    platform: Settings = Settings()
