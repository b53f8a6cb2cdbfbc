"""The only place where the graph is put together: assets, jobs, sensors, and the outside world."""

import dagster as dg

from cloud_assets import keys
from cloud_assets.benchmarks import assets as benchmarks
from cloud_assets.evaluation import assets as evaluation
from cloud_assets.machines import assets as machines
from cloud_assets.machines import checks as machine_checks
from cloud_assets.machines.gpus import assets as gpus
from cloud_assets.machines.gpus.site import GpuSite
from cloud_assets.machines.host import Host
from cloud_assets.machines.runs import jobs as machine_runs
from cloud_assets.models import assets as models
from cloud_assets.outside_world import outside_world
from cloud_assets.services import assets as services
from cloud_assets.services import checks as service_checks
from cloud_assets.serving import assets as serving
from cloud_assets.settings import Settings
from cloud_assets.settings.machines import Clusters
from cloud_assets.settings_file import load_clusters, load_settings
from sensors import checkpoints, drift, failures, gpu_demand
from sensors import machines as machine_sensors

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
    keys.ENDPOINT_JOB, selection=[serving.endpoint], executor_def=dg.in_process_executor,
    description="Every champion up and behind its endpoint, nothing left over.",
)  # fmt: skip


def build(settings: Settings, clusters: Clusters | None = None) -> dg.Definitions:
    """The graph of these settings; services and machines that they do not name are not in it."""
    host = Host.of(settings.machines, clusters or Clusters())
    gpu_site = GpuSite.of(settings, clusters or Clusters())
    service_assets = services.build_assets(settings)
    service_jobs = services.build_jobs(service_assets)
    machine_assets = machines.build_assets(host.desired)
    machine_jobs = machines.build_jobs(machine_assets)
    gpu_jobs = gpus.build_jobs(gpu_site)
    run_jobs = machine_runs.build_jobs(host.desired)
    return dg.Definitions(
        assets=[
            *(*STAGES, benchmarks.benchmark_trend, serving.endpoint),
            *service_assets,
            *machine_assets,
            *gpus.build_assets(gpu_site),
        ],
        asset_checks=[
            *service_checks.build_checks(settings),
            *machine_checks.build_checks(host.desired),
        ],
        jobs=[release_job, endpoint_job, *service_jobs, *machine_jobs, *gpu_jobs, *run_jobs],
        sensors=[
            checkpoints.build_sensor(release_job),
            failures.build_sensor(release_job, endpoint_job),
            drift.build_sensor(release_job, endpoint_job),
            *machine_sensors.build_sensors(machine_jobs),
            *gpu_demand.build_sensors(gpu_jobs),
        ],
        resources=outside_world(settings, host, gpu_site),
    )


defs = build(load_settings(), load_clusters())
