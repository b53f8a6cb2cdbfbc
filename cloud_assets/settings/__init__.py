"""The `platform:` part of `cluster.yaml`, typed and frozen; a module a large section."""

from cloud_assets.settings.benchmark import Objective, Profile, Target
from cloud_assets.settings.platform import (
    TEMPORARY,
    Evaluation,
    Kubernetes,
    Ports,
    Registry,
    Root,
    Settings,
    Store,
    Watch,
)
from cloud_assets.settings.services import MinIO, MLflow, PostgreSQL, Services
from cloud_assets.settings.serving import Autoscaling, Cluster, ClusterRuntime, Serving

__all__ = [
    "TEMPORARY",
    "Autoscaling",
    "Cluster",
    "ClusterRuntime",
    "Evaluation",
    "Kubernetes",
    "MLflow",
    "MinIO",
    "Objective",
    "Ports",
    "PostgreSQL",
    "Profile",
    "Registry",
    "Root",
    "Services",
    "Serving",
    "Settings",
    "Store",
    "Target",
    "Watch",
]
