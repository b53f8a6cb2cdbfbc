"""How long a plan of twenty machines takes: `python -m benchmarks.machine_plan [--machines N]`.

On libvirt's test driver, in milliseconds: looking at all that is there, comparing it with a file
that asks for it, and the documents of a first plan. Bound: <= 500 ms for twenty machines.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cloud_assets.machines import spec
from cloud_assets.machines.converge import Patience, converge
from cloud_assets.machines.desired import Desired
from cloud_assets.machines.plan import Rendering, plan
from cloud_assets.settings.machines import Clusters, Machines
from resources.libvirt import Connection, Observation, observe

RENDERING = Rendering("qemu", host_cpus=4, user="admin", ssh_key="ssh-ed25519 AAAA nobody")
TIMES = 15
SIZE = {"cpu_cores": 1, "memory_gb": 1, "disk_gb": 10}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=20)
    count = parser.parse_args().machines
    cluster = {
        "name": "hpc",
        "base_image_path": "/images/hpc.qcow2",
        "network": {"subnet": "10.0.0.0/22", "bridge": "virbr100"},
        "controller": {**SIZE, "ip_address": "10.0.0.2"},
        "compute_nodes": {**SIZE, "count": count - 1, "ip": "DHCP"},
        "slurm_config": {"partitions": ["p"], "default_partition": "p"},
    }
    file = Clusters.model_validate({"hpc": cluster})
    desired = _with_small_disks(spec.desired(file, Machines(pool_root=Path("/pools"))))
    with Connection("test:///default") as connection:
        first = plan(desired, Observation(), RENDERING)
        began = time.monotonic()
        results = converge(connection, first, patience=Patience(None))
        made = time.monotonic() - began
        observed = observe(connection)
        figures = {
            "machines": count,
            "made_ms": round(made * 1000, 1),
            "failed": sum(1 for each in results if each.error),
            "observe_ms": _median(lambda: observe(connection)),
            "first_plan_ms": _median(lambda: plan(desired, Observation(), RENDERING)),
            "plan_ms": _median(lambda: plan(desired, observed, RENDERING)),
            "plan_of_what_is_there_ms": _median(
                lambda: plan(desired, observe(connection), RENDERING)
            ),
        }
    print(json.dumps(figures, indent=2))


def _with_small_disks(desired: Desired) -> Desired:
    """The test driver's pools hold 100 GiB."""
    return Desired(
        tuple(
            replace(
                cluster,
                machines=tuple(
                    replace(each, volume=replace(each.volume, capacity_bytes=2**30))
                    for each in cluster.machines
                ),
            )
            for cluster in desired.clusters
        )
    )


def _median(act: Callable[[], object]) -> float:
    times = []
    for _ in range(TIMES):
        began = time.monotonic()
        act()
        times.append(time.monotonic() - began)
    return round(statistics.median(times) * 1000, 1)


if __name__ == "__main__":
    main()
