"""Which serving backend the settings mean: processes of this machine, or a cluster with KServe.

Nothing else in the graph knows which of them it talks to.
"""

import os

from cloud_assets.settings import Settings
from cloud_assets.settings.serving import Cluster
from resources.process_serving import Fetch, ProcessServing, tuned
from resources.serving import ServingBackend
from resources.supervisor import Supervisor


def serving_backend(settings: Settings, fetch: Fetch) -> ServingBackend:
    """The backend; nothing is asked of it yet. `fetch` brings a published model to this machine."""
    if settings.serving.cluster is not None:
        return _cluster(settings, settings.serving.cluster)
    return ProcessServing(
        settings.home,
        supervisor=Supervisor(settings.home),
        runtimes=tuned(settings.serving.arguments, settings.serving.memory_share),
        fetch=fetch,
    )


def _cluster(settings: Settings, cluster: Cluster) -> ServingBackend:
    from resources.kserve import Bucket, Fronted, KServe, RuntimeImage, Site
    from resources.kubernetes import Kubernetes

    at = settings.kubernetes
    share = ("--gpu-memory-utilization", f"{settings.serving.memory_share:.2f}")
    runtimes: dict[str, RuntimeImage] = {
        name: RuntimeImage(
            name, each.image, each.cpu, each.memory, each.gpus,
            (*(share if name != "mlx" else ()), *settings.serving.arguments),
        )
        for name, each in cluster.runtimes.items()
    }  # fmt: skip
    bucket = Bucket(
        settings.store.endpoint or "",
        settings.store.region,
        access_key=os.environ.get("AWS_ACCESS_KEY_ID", ""),
        secret_key=os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
    )
    site = Site(cluster.namespace, runtimes, bucket, within=at.kubeconfig is None)
    backend = KServe(Kubernetes(at.kubeconfig, context=at.context), site)
    return Fronted(backend, settings.home / "gateway" / "routes.json")
