"""CPU of one tick of `new_checkpoints` with nothing new, by how many checkpoints are known.

    python -m benchmarks.sensor_tick [--known N ...]

A tick is a whole hold of the default length. Bound: <= 0.25 s CPU at 10,000, no growth with
history. The second tick in a process is measured; the first reads what the graph knows.
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import dagster as dg

from cloud_assets import keys
from cloud_assets.settings import Root, Settings
from sensors.checkpoints import Requests, hold

RUN_LENGTH = 100
MODEL = "m"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--known", type=int, nargs="+", default=[100, 1_000, 10_000])
    for known in parser.parse_args().known:
        first, later, wall = measure(known)
        print(
            f"{known:>6} known: first tick {first:.3f} s CPU, later tick {later:.3f} s CPU "
            f"({wall:.0f} s wall)"
        )


def measure(known: int) -> tuple[float, float, float]:
    """CPU seconds of the first and of the second tick, wall seconds of the second."""
    with tempfile.TemporaryDirectory() as name, dg.instance_for_test(temp_dir=name) as instance:
        root = Path(name) / "runs"
        _fill(instance, root, known)
        settings = Settings(roots=(Root(path=root, model=MODEL),))
        before = _cpu()
        requests = Requests(instance, settings)
        hold(requests, settings)
        first, started, middle = _cpu() - before, time.monotonic(), _cpu()
        requests.settle()
        hold(requests, settings)
        return first, _cpu() - middle, time.monotonic() - started


def _fill(instance: dg.DagsterInstance, root: Path, known: int) -> None:
    names = []
    for number in range(known):
        run, step = number // RUN_LENGTH, number % RUN_LENGTH
        directory = root / f"run{run}" / f"checkpoint-{step}"
        directory.mkdir(parents=True)
        for file in ("config.json", "model.safetensors", "trainer_state.json"):
            (directory / file).write_text("{}")
        names.append(f"{MODEL}.run{run}.{step}")
    for directory in root.iterdir():
        os.utime(directory, (0, 0))
    instance.add_dynamic_partitions("checkpoints", names)
    for key in names:
        instance.report_runless_asset_event(dg.AssetMaterialization(keys.CHECKPOINT, partition=key))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
