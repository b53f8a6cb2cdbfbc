"""What a cluster is told before it serves, from the settings: the site of `resources.kserve`."""

import os
from typing import TYPE_CHECKING, Any

from cloud_assets.settings import Settings
from cloud_assets.settings.section import Section
from cloud_assets.settings.serving import Cluster

if TYPE_CHECKING:
    from resources.kserve import Site


def serving_site(settings: Settings, cluster: Cluster) -> "Site":
    """Namespace, runtimes and the bucket with its credentials, which the environment has."""
    from resources.kserve import Bucket, Gateway, RuntimeImage, Scaling, Site

    share = ("--gpu-memory-utilization", f"{settings.serving.memory_share:.2f}")
    runtimes: dict[str, RuntimeImage] = {
        name: RuntimeImage(
            name, each.image, each.cpu, each.memory, each.gpus,
            (*(share if name != "mlx" else ()), *settings.serving.arguments), each.nodes,
            each.cache,
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
