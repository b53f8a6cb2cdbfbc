"""The vocabulary of the graph: asset names, groups, partitions, owners, pools and run tags."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

#: What `dg.define_asset_job` returns; dagster does not export its name.
AssetJob = UnresolvedAssetJobDefinition

CHECKPOINTS = dg.DynamicPartitionsDefinition(name="checkpoints")

CHECKPOINT = "checkpoint"
MODEL_ARTIFACT = "model_artifact"
REGISTERED_MODEL = "registered_model"
INFERENCE_SERVICE = "inference_service"
QUALITY_REPORT = "quality_report"
BENCHMARK_REPORT = "benchmark_report"
RELEASE = "release"
BENCHMARK_TREND = "benchmark_trend"
ENDPOINT = "endpoint"

#: The stages of one checkpoint, in the order in which a run goes through them.
STAGES = (
    CHECKPOINT,
    MODEL_ARTIFACT,
    REGISTERED_MODEL,
    INFERENCE_SERVICE,
    QUALITY_REPORT,
    BENCHMARK_REPORT,
    RELEASE,
)

ML_GROUP = "ml"
ML_OWNERS = ["team:ml-platform"]
GPU_POOL = "gpu"

RELEASE_JOB = "release_checkpoint"
ENDPOINT_JOB = "converge_endpoints"
TREND_JOB = "refresh_trends"

FINGERPRINT_TAG = "ai-how/fingerprint"
OUTCOME_TAG = "ai-how/outcome"
TRY_TAG = "ai-how/try"
PARTITION_TAG = "dagster/partition"

#: Aliases of registered versions; `previous` is the one that a rollback returns to.
CANDIDATE = "candidate"
CHAMPION = "champion"
PREVIOUS = "previous"
