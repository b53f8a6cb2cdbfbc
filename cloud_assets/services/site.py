"""The cluster that the services are on, and how a service is reached from here."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from cloud_assets.settings import Settings
from resources.helm import Helm
from resources.kubernetes import Kubernetes, Reference, port_forward


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

    @contextmanager
    def reached(self, name: str, port: int, *, namespace: str | None = None) -> Iterator[str]:
        """Within, `host:port` that leads to a Service from where this process is.

        From outside it goes through the API server, so that a kubeconfig is all it takes; raises
        TransientError with the cluster's reason where no pod is ready, NeedsRepair where there is
        no such Service.
        """
        space = namespace or self.settings.services.namespace
        if self.is_within:
            yield f"{name}.{space}.svc:{port}"
            return
        service = Reference("v1", "Service", name, space)
        with port_forward(self.kubernetes, service, port) as local:
            yield f"127.0.0.1:{local}"
