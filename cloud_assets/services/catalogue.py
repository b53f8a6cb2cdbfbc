"""Which services there are, and which of them the settings make the platform's. No Dagster."""

from collections.abc import Mapping

from cloud_assets.services.access import have_buckets
from cloud_assets.services.charts import catalogue as charts
from cloud_assets.services.manifests import minio, mlflow, postgresql
from cloud_assets.services.service import Service
from cloud_assets.services.sets import ManifestSet
from cloud_assets.services.site import Site
from cloud_assets.settings import Settings
from resources.errors import UsageError


def services(settings: Settings) -> tuple[Service, ...]:
    """Those that the settings name, each after what it needs."""
    named = set(settings.services.named)
    return tuple(each for each in _all(named) if each.name in named)


def chosen(settings: Settings, names: tuple[str, ...]) -> tuple[Service, ...]:
    """Those of the names, all for none. Raises UsageError for one that is not the platform's."""
    found = services(settings)
    known = [each.name for each in found]
    unknown = [each for each in names if each not in known]
    if unknown:
        hint = f"they are {', '.join(known)}" if known else "name some under `platform.services`"
        raise UsageError(f"`{unknown[0]}` is no service of the platform's", hint=hint)
    return tuple(each for each in found if not names or each.name in names)


def _all(named: set[str]) -> tuple[Service, ...]:
    """Every service, those first that others need; `after` only what is the platform's."""
    return (
        Service(
            minio.NAME,
            kind="s3",
            description="An S3 server on a volume, with the buckets of the platform.",
            convergence=ManifestSet(
                minio.NAME,
                minio.manifests,
                lambda settings: [minio.credentials(settings)],
                afterwards=have_buckets,
            ),
            links=_minio_links,
        ),
        Service(
            postgresql.NAME,
            kind="postgres",
            description="PostgreSQL on a volume, with MLflow's database and its extensions.",
            convergence=ManifestSet(
                postgresql.NAME,
                postgresql.manifests,
                lambda settings: [postgresql.credentials(settings)],
            ),
            links=_postgresql_links,
        ),
        Service(
            mlflow.NAME,
            kind="mlflow",
            description="MLflow's replicas before their database and their bucket.",
            convergence=ManifestSet(mlflow.NAME, mlflow.manifests, mlflow.credentials),
            after=[each for each in (minio.NAME, postgresql.NAME) if each in named],
            links=_mlflow_links,
        ),
        *charts.services(named),
    )


def _minio_links(site: Site) -> Mapping[str, str]:
    return {"endpoint": minio.endpoint(site.settings)}


def _postgresql_links(site: Site) -> Mapping[str, str]:
    host = postgresql.named(site.settings).host
    return {"address": f"postgresql://{host}:{postgresql.PORT}/{postgresql.DATABASE}"}


def _mlflow_links(site: Site) -> Mapping[str, str]:
    return {"endpoint": mlflow.url(site.settings)}
