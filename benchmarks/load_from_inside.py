"""The same load from this machine and from pods of the cluster, in turns: do they say the same?

`python -m benchmarks.load_from_inside --rounds 3` on the testbed (`tests/testbed`), with one
model server of a tiny model; prints percentiles in milliseconds, and inside by outside.
"""

import argparse
import os
import tempfile
import uuid
from pathlib import Path

import dagster as dg
from minio import Minio

from cloud_assets.benchmarks.schedule import make_plan
from cloud_assets.settings import Profile
from examples import tiny_llama
from resources.kserve import Bucket, KServe, RuntimeImage, Site
from resources.kubernetes import Kubernetes
from resources.load.pods import LoadPods, run_in_pods
from resources.load.run import LoadPlan, LoadResult, run_load
from resources.serving import Servable
from tests.testbed import pins, sharing
from tests.testbed.cluster import Cluster

FILES = {".json", ".safetensors", ".jinja"}


def percentiles(results: list[LoadResult]) -> tuple[float, float]:
    """Median and 95th percentile in milliseconds, from intended send to the last byte."""
    taken = sorted(
        1000 * (row.end - row.intended)
        for each in results
        for row in each.rows
        if row.phase == "steady" and row.error is None
    )
    return taken[len(taken) // 2], taken[int(len(taken) * 0.95)]


def from_inside(plan: LoadPlan, cluster: Kubernetes, pods: LoadPods) -> LoadResult:
    results: list[LoadResult] = []

    @dg.asset
    def measured(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        results.append(run_in_pods(plan, context, cluster=cluster, pods=pods))
        return dg.MaterializeResult()

    dg.materialize([measured])
    return results[0]


def from_here(plan: LoadPlan) -> LoadResult:
    with tempfile.TemporaryDirectory() as directory:
        return run_load(plan, work_directory=Path(directory))


def published(found: Cluster, name: str) -> tuple[Site, str]:
    """A site of its own, and where a tiny model lies in a bucket of the same name."""
    s3 = found.s3
    assert s3 is not None, "the cluster has no S3 server"
    host = s3.endpoint.removeprefix("http://")
    client = Minio(host, s3.access_key, s3.secret_key, secure=False)
    client.make_bucket(name)
    with tempfile.TemporaryDirectory() as directory:
        tiny_llama.write_checkpoint(Path(directory) / "checkpoint-1", seed=1, step=1)
        for path in (Path(directory) / "checkpoint-1").iterdir():
            if path.suffix in FILES:
                client.fput_object(name, f"model/{path.name}", str(path))
    bucket = Bucket(s3.endpoint, access_key=s3.access_key, secret_key=s3.secret_key)
    image = RuntimeImage("mlx", pins.MLX_IMAGE, memory="256Mi")
    return Site(name, {"mlx": image}, bucket), f"s3://{name}/model/"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    name = f"bench-{uuid.uuid4().hex[:8]}"
    profile = Profile(rate=10, steady_seconds=20, output_tokens=8)
    with sharing.used() as found:
        cluster = Kubernetes(found.kubeconfig)
        site, location = published(found, name)
        try:
            servable = Servable("qa.run.1", "qa", "a" * 64, location, "mlx")
            slot = KServe(cluster, site).serve(servable, timeout_seconds=240).slot
            plan = make_plan(profile, prompts=[{"prompt": "Question: "}], url=slot.url, model="qa")
            pods = LoadPods(name, pins.LOAD_IMAGE, options.workers, cpu="100m", memory="128Mi")
            outside, inside = [], []
            for _ in range(options.rounds):
                outside.append(from_here(plan))
                inside.append(from_inside(plan, cluster, pods))
        finally:
            found.kubectl("delete", "namespace", name, "--wait=false")
    here, there = percentiles(outside), percentiles(inside)
    print(f"load average {os.getloadavg()[0]:.1f}, {options.workers} client(s) inside")
    for label, one, other in zip(("median", "p95"), here, there, strict=True):
        print(f"{label}: outside {one:.1f} ms, inside {other:.1f} ms, ratio {other / one:.2f}")


if __name__ == "__main__":
    main()
