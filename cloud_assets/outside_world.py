"""The systems that assets and sensors act on, made from the settings."""

from collections.abc import Mapping

from cloud_assets.lineage import fetcher
from cloud_assets.machines.gpus.site import GpuSite
from cloud_assets.machines.host import Host
from cloud_assets.services.site import Site
from cloud_assets.serving_backends import serving_backend
from cloud_assets.settings import Settings
from resources.mlflow import Registry
from resources.object_store import ObjectStore


def outside_world(settings: Settings, host: Host, gpus: GpuSite) -> Mapping[str, object]:
    """Resources of the graph by name; none of them is asked anything yet."""
    store = ObjectStore(
        settings.store_url, endpoint=settings.store.endpoint, region=settings.store.region
    )
    return {
        "settings": settings,
        "store": store,
        "registry": Registry(settings.registry_url, s3_endpoint=settings.store.endpoint),
        "serving": serving_backend(settings, fetcher(store)),
        **({"site": Site.of(settings)} if settings.services.named else {}),
        **({"host": host} if host.desired.clusters else {}),
        **({"gpu_site": gpus} if gpus.desired.users() else {}),
    }
