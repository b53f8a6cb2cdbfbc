"""Which serving backend the settings mean: processes of this machine, or a cluster with KServe.

Nothing else in the graph knows which of them it talks to.
"""

import os
from typing import TYPE_CHECKING, Any

from cloud_assets.settings import Settings
from cloud_assets.settings.section import Section
from cloud_assets.settings.serving import Cluster
from resources.one_slot import OneSlot
from resources.process_serving import Fetch, ProcessServing, tuned
from resources.serving import ServingBackend
from resources.supervisor import Supervisor

if TYPE_CHECKING:
    from resources.kserve import Site


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
    asked = Kubernetes(at.kubeconfig, context=at.context)
    backend = KServe(asked, site_of(settings, cluster))
    return Fronted(backend, settings.home / "gateway" / "routes.json")


def site_of(settings: Settings, cluster: Cluster) -> "Site":
    """Where and with what the cluster serves; credentials are those of the environment."""
    from resources.kserve import Bucket, Gateway, RuntimeImage, Scaling, Site

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
    scaling, gateway = cluster.autoscaling, cluster.gateway
    return Site(
        cluster.namespace, runtimes, bucket, within=settings.kubernetes.kubeconfig is None,
        scaling=Scaling(**_named(scaling)) if scaling else None,
        gateway=Gateway(**_named(gateway)) if gateway else None,
    )  # fmt: skip


def _named(section: Section) -> dict[str, Any]:
    """What is set of a section whose keys are those of the site's part."""
    return section.model_dump(exclude_none=True)
