"""The cluster that the services are on, and how a service is reached from here."""

from dataclasses import dataclass
from functools import cached_property

from cloud_assets.settings import Settings
from resources.helm import Helm
from resources.kubernetes import Kubernetes


@dataclass(frozen=True)
class Site:
    """One cluster with the settings that say what belongs on it; nothing is asked of it yet."""

    settings: Settings
    kubernetes: Kubernetes

    @classmethod
    def of(cls, settings: Settings) -> "Site":
        at = settings.kubernetes
        return cls(settings, Kubernetes(at.kubeconfig, context=at.context))

    @cached_property
    def helm(self) -> Helm:
        """The charts of the same cluster."""
        at = self.settings.kubernetes
        return Helm(at.kubeconfig, context=at.context)

    @property
    def is_within(self) -> bool:
        """Whether this process runs in the cluster, where services go by their names."""
        return self.settings.kubernetes.kubeconfig is None
