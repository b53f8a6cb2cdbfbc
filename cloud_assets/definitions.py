"""The only place where the graph is put together: assets, jobs, sensors, and the outside world."""

from collections.abc import Mapping

import dagster as dg

from cloud_assets import keys
from cloud_assets.benchmarks import assets as benchmarks
from cloud_assets.evaluation import assets as evaluation
from cloud_assets.lineage import fetcher
from cloud_assets.models import assets as models
from cloud_assets.services import assets as services
from cloud_assets.services.checks import build_checks
from cloud_assets.services.site import Site
from cloud_assets.serving import assets as serving
from cloud_assets.serving_backends import serving_backend
from cloud_assets.settings import Settings
from cloud_assets.settings_file import load_settings
from resources.mlflow import Registry
from resources.object_store import ObjectStore
from sensors import checkpoints, drift, failures

STAGES = [
    models.checkpoint,
    models.model_artifact,
    models.registered_model,
    serving.inference_service,
    evaluation.quality_report,
    benchmarks.benchmark_report,
    serving.release,
]

release_job = dg.define_asset_job(
    keys.RELEASE_JOB,
    selection=[*STAGES, benchmarks.benchmark_trend],
    executor_def=dg.in_process_executor,
    description="One checkpoint through all stages.",
)
endpoint_job = dg.define_asset_job(
    keys.ENDPOINT_JOB,
    selection=[serving.endpoint],
    executor_def=dg.in_process_executor,
    description="Every champion up and behind its endpoint, nothing left over.",
)


def outside_world(settings: Settings) -> Mapping[str, object]:
    """The systems that assets and sensors act on; none of them is asked anything yet."""
    store = ObjectStore(
        settings.store_url, endpoint=settings.store.endpoint, region=settings.store.region
    )
    return {
        "settings": settings,
        "store": store,
        "registry": Registry(settings.registry_url, s3_endpoint=settings.store.endpoint),
        "serving": serving_backend(settings, fetcher(store)),
        **({"site": Site.of(settings)} if settings.services.named else {}),
    }


def build(settings: Settings) -> dg.Definitions:
    """The graph of these settings; services that they do not name are not in it."""
    service_assets = services.build_assets(settings)
    return dg.Definitions(
        assets=[*STAGES, benchmarks.benchmark_trend, serving.endpoint, *service_assets],
        asset_checks=build_checks(settings),
        jobs=[release_job, endpoint_job, *services.build_jobs(service_assets)],
        sensors=[
            checkpoints.build_sensor(release_job),
            failures.build_sensor(release_job, endpoint_job),
            drift.build_sensor(release_job, endpoint_job),
        ],
        resources=outside_world(settings),
    )


defs = build(load_settings())
