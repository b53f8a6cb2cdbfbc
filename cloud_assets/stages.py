"""The names that the graph and those who ask for it share, without Dagster: commands are quick."""

CHECKPOINT = "checkpoint"
MODEL_ARTIFACT = "model_artifact"
REGISTERED_MODEL = "registered_model"
INFERENCE_SERVICE = "inference_service"
QUALITY_REPORT = "quality_report"
BENCHMARK_REPORT = "benchmark_report"
RELEASE = "release"
BENCHMARK_TREND = "benchmark_trend"
ENDPOINT = "endpoint"
GPU_OWNER = "gpu_owner"

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

RELEASE_JOB = "release_checkpoint"
ENDPOINT_JOB = "converge_endpoints"
SNAPSHOT_JOB, SNAPSHOT_STEP = "machine_snapshots", "snapshot"
#: Both clusters of machines, one after the other.
SYSTEM_JOB, SYSTEM_STEP = "start_system", "start"
SERVICES_JOB = "converge_services"
MACHINES_JOB = "converge_machines"
SWITCH_JOB = "switch_gpu"
POWER_JOB = "machine_power"
#: The same for cutting the power of what hangs, which waits for no other run.
POWER_CUT_JOB = "machine_power_cut"
#: The one step of each.
POWER_STEPS = {POWER_JOB: "power", POWER_CUT_JOB: "power_cut"}

PARTITION_TAG = "dagster/partition"
FINGERPRINT_TAG = "ai-how/fingerprint"
OUTCOME_TAG = "ai-how/outcome"
TRY_TAG = "ai-how/try"
#: Who asked for a run, and why.
REQUESTED_BY_TAG = "ai-how/requested-by"
REASON_TAG = "ai-how/reason"
#: What a run waits for just now, empty once it does not.
WAITS_TAG = "ai-how/waits"
#: Set on a run that only measures again, and says nothing of how far the checkpoint is.
BENCH_TAG = "ai-how/bench"

#: One measurement at a time: what serves and measures holds a slot of this pool.
GPU_POOL = "gpu"
#: One run at a time changes which machines there are, which are on, and who has their GPUs.
MACHINES_POOL = "machines"

#: Aliases of registered versions; `previous` is the one that a rollback returns to.
CANDIDATE = "candidate"
CHAMPION = "champion"
PREVIOUS = "previous"
