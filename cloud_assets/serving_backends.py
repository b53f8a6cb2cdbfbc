"""Which serving backend the settings mean: processes of this machine, or a cluster with KServe.

Nothing else in the graph knows which of them it talks to.
"""

from cloud_assets.serving_site import serving_site
from cloud_assets.settings import Settings
from cloud_assets.settings.serving import Cluster
from resources.one_slot import OneSlot
from resources.process_serving import Fetch, ProcessServing, tuned
from resources.serving import ServingBackend
from resources.supervisor import Supervisor


def serving_backend(settings: Settings, fetch: Fetch) -> ServingBackend:
    """The backend; nothing is asked of it yet. `fetch` brings a published model to this machine."""
    found = _backend(settings, fetch)
    return OneSlot(found) if settings.serving.strategy == "replace" else found


def _backend(settings: Settings, fetch: Fetch) -> ServingBackend:
    if settings.serving.cluster is not None:
        return _cluster(settings, settings.serving.cluster)
    return ProcessServing(
        settings.home,
        supervisor=Supervisor(settings.home),
        runtimes=tuned(settings.serving.arguments, settings.serving.memory_share),
        fetch=fetch,
    )


def _cluster(settings: Settings, cluster: Cluster) -> ServingBackend:
    from resources.kserve import Fronted, KServe
    from resources.kubernetes import Kubernetes

    at = settings.kubernetes
    backend = KServe(Kubernetes(at.kubeconfig, context=at.context), serving_site(settings, cluster))
    return Fronted(backend, settings.home / "gateway" / "routes.json")
