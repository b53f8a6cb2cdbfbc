"""A site on the testbed's cluster: every image is named, as on a site without registries."""

from pathlib import Path

from cloud_assets.services.site import Site
from cloud_assets.settings import Settings
from tests.testbed import pins

IMAGES = {
    "minio": pins.MINIO_IMAGE,
    "versitygw": pins.VERSITYGW_IMAGE,
    "postgresql": pins.POSTGRESQL_IMAGE,
    "mlflow": pins.MLFLOW_IMAGE,
}
SMALL = {"size": "1Gi", "cpu": "50m", "memory": "256Mi"}


def site(kubeconfig: Path, namespace: str, **services: object) -> Site:
    """The site with these services in a namespace of its own."""
    wanted = {
        "kubernetes": {"kubeconfig": kubeconfig},
        "images": IMAGES,
        "services": {"namespace": namespace, **services},
    }
    return Site.of(Settings.model_validate(wanted).resolved(Path("/")))
