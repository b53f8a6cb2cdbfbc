"""The vocabulary of the graph: partitions, group, owners and pool, and the names of `stages`."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from cloud_assets.stages import (
    BENCH_TAG,
    BENCHMARK_REPORT,
    BENCHMARK_TREND,
    CANDIDATE,
    CHAMPION,
    CHECKPOINT,
    ENDPOINT,
    ENDPOINT_JOB,
    FINGERPRINT_TAG,
    GPU_POOL,
    INFERENCE_SERVICE,
    MODEL_ARTIFACT,
    OUTCOME_TAG,
    PARTITION_TAG,
    PREVIOUS,
    QUALITY_REPORT,
    REGISTERED_MODEL,
    RELEASE,
    RELEASE_JOB,
    STAGES,
    TRY_TAG,
)

#: What `dg.define_asset_job` returns; dagster does not export its name.
AssetJob = UnresolvedAssetJobDefinition

CHECKPOINTS = dg.DynamicPartitionsDefinition(name="checkpoints")

ML_GROUP = "ml"
ML_OWNERS = ["team:ml-platform"]

__all__ = [
    "BENCHMARK_REPORT",
    "BENCHMARK_TREND",
    "BENCH_TAG",
    "CANDIDATE",
    "CHAMPION",
    "CHECKPOINT",
    "CHECKPOINTS",
    "ENDPOINT",
    "ENDPOINT_JOB",
    "FINGERPRINT_TAG",
    "GPU_POOL",
    "INFERENCE_SERVICE",
    "ML_GROUP",
    "ML_OWNERS",
    "MODEL_ARTIFACT",
    "OUTCOME_TAG",
    "PARTITION_TAG",
    "PREVIOUS",
    "QUALITY_REPORT",
    "REGISTERED_MODEL",
    "RELEASE",
    "RELEASE_JOB",
    "STAGES",
    "TRY_TAG",
    "AssetJob",
]
