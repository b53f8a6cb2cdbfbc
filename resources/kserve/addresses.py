"""Where the Services of a site are reached from the platform."""

from resources.errors import TransientError
from resources.kserve.site import Site
from resources.kubernetes import Kubernetes, Reference

PORT = 80


def service_url(cluster: Kubernetes, site: Site, name: str) -> str:
    """The base URL of a Service. Raises TransientError where there is none."""
    if site.within:
        return f"http://{name}.{site.namespace}.svc.{site.domain}:{PORT}"
    found = cluster.get(Reference("v1", "Service", name, site.namespace))
    if found is None:
        raise TransientError("the serving backend", f"find the Service {name}", "it is not there")
    return f"http://{found['spec']['clusterIP']}:{PORT}"
