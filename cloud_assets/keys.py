"""The vocabulary of the graph: partitions, checks, owners, pool, and the names of `stages`."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
    GPU_OWNER,
    GPU_POOL,
    INFERENCE_SERVICE,
    MACHINES_JOB,
    MACHINES_POOL,
    MODEL_ARTIFACT,
    OUTCOME_TAG,
    PARTITION_TAG,
    POWER_CUT_JOB,
    POWER_JOB,
    PREVIOUS,
    QUALITY_REPORT,
    REASON_TAG,
    REGISTERED_MODEL,
    RELEASE,
    RELEASE_JOB,
    REQUESTED_BY_TAG,
    SERVICES_JOB,
    STAGES,
    SWITCH_JOB,
    TRY_TAG,
    WAITS_TAG,
)

#: What `dg.define_asset_job` returns; dagster does not export its name.
AssetJob = UnresolvedAssetJobDefinition

CHECKPOINTS = dg.DynamicPartitionsDefinition(name="checkpoints")

ML_GROUP = "ml"
SERVICES_GROUP = "services"
MACHINES_GROUP = "machines"
ML_OWNERS = ["team:ml-platform"]

AssetDecorator = Callable[[Callable[..., Any]], dg.AssetsDefinition]


def stage(
    name: str,
    *,
    kind: str,
    after: Sequence[str] = (),
    checks: Sequence[dg.AssetCheckSpec] = (),
    pool: str | None = None,
    op_tags: Mapping[str, str] | None = None,
) -> AssetDecorator:
    """An asset of the group `ml` for each checkpoint; `after` names the stages it builds upon."""
    return dg.asset(
        name=name,
        deps=list(after),
        partitions_def=CHECKPOINTS,
        group_name=ML_GROUP,
        owners=ML_OWNERS,
        kinds={kind},
        code_version="1",
        pool=pool,
        check_specs=list(checks),
        op_tags=op_tags,
    )


def checkpoint_check(
    name: str, asset: str, description: str, *, blocking: bool = True
) -> dg.AssetCheckSpec:
    """A check that is evaluated for each checkpoint.

    Dagster calls `partitions_def` of a check a preview; its warning is silenced here and nowhere
    else, so that any other is seen.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore",
            "Specifying a partitions_def on an AssetCheckSpec",
            category=dg.PreviewWarning,
        )
        return dg.AssetCheckSpec(
            name,
            asset=asset,
            blocking=blocking,
            partitions_def=CHECKPOINTS,
            description=description,
        )


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
    "GPU_OWNER",
    "GPU_POOL",
    "INFERENCE_SERVICE",
    "MACHINES_GROUP",
    "MACHINES_JOB",
    "MACHINES_POOL",
    "ML_GROUP",
    "ML_OWNERS",
    "MODEL_ARTIFACT",
    "OUTCOME_TAG",
    "PARTITION_TAG",
    "POWER_CUT_JOB",
    "POWER_JOB",
    "PREVIOUS",
    "QUALITY_REPORT",
    "REASON_TAG",
    "REGISTERED_MODEL",
    "RELEASE",
    "RELEASE_JOB",
    "REQUESTED_BY_TAG",
    "SERVICES_GROUP",
    "SERVICES_JOB",
    "STAGES",
    "SWITCH_JOB",
    "TRY_TAG",
    "WAITS_TAG",
    "AssetDecorator",
    "AssetJob",
    "checkpoint_check",
    "stage",
]
