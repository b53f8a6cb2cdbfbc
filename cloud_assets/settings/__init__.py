"""The `platform:` part of `cluster.yaml`, typed and frozen; `serving` has that section of it."""

from cloud_assets.settings.platform import (
    TEMPORARY,
    Evaluation,
    Objective,
    Ports,
    Profile,
    Registry,
    Root,
    Settings,
    Store,
    Target,
    Watch,
)
from cloud_assets.settings.serving import Autoscaling, Cluster, ClusterRuntime, Serving

__all__ = [
    "TEMPORARY",
    "Autoscaling",
    "Cluster",
    "ClusterRuntime",
    "Evaluation",
    "Objective",
    "Ports",
    "Profile",
    "Registry",
    "Root",
    "Serving",
    "Settings",
    "Store",
    "Target",
    "Watch",
]
