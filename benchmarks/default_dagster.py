"""The peer of `checkpoint_to_run`: the same shape of graph with nothing in it, all defaults."""

import os
from pathlib import Path

import dagster as dg

DROPS = Path(os.environ.get("DROPS", ".")) / "drops"
PARTITIONS = dg.DynamicPartitionsDefinition(name="drops")


def stage(name: str, upstream: list[str]) -> dg.AssetsDefinition:
    @dg.asset(name=name, deps=upstream, partitions_def=PARTITIONS)
    def nothing() -> None:
        """One step without work."""

    return nothing


stages = [stage(f"stage_{n}", [f"stage_{n - 1}"] if n else []) for n in range(7)]
job = dg.define_asset_job("all_stages", stages)


@dg.sensor(job=job, default_status=dg.DefaultSensorStatus.RUNNING)
def drops(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    seen = set((context.cursor or "").split(","))
    new = sorted(file.name for file in DROPS.iterdir() if file.name not in seen)
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=name, partition_key=name) for name in new],
        dynamic_partitions_requests=[PARTITIONS.build_add_request(new)] if new else [],
        cursor=",".join(sorted(seen | set(new))),
    )


defs = dg.Definitions(assets=stages, jobs=[job], sensors=[drops])
