"""A whole embedded platform in a directory of its own, for as long as a benchmark runs."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from cloud_assets.cli.commands import platform
from cloud_assets.settings import Settings
from cloud_assets.settings_file import CLUSTER_VARIABLE, load_settings
from resources.ports import free_ports
from resources.supervisor import Supervisor

MODEL = "capitals"
SUITE = Path(__file__).parents[1] / "examples" / "capitals" / "suite.jsonl"
PROFILE = {"rate": 25, "warmup_seconds": 0.5, "steady_seconds": 4, "cooldown_seconds": 0.3}


@contextmanager
def embedded_platform() -> Iterator[Settings]:
    """Settings of a platform that is up and ends with the block, its directory with it."""
    with tempfile.TemporaryDirectory(prefix="ai-how-benchmark-") as directory:
        file = Path(directory) / "cluster.yaml"
        (Path(directory) / "runs").mkdir()
        file.write_text(yaml.safe_dump({"platform": _platform()}))
        os.environ[CLUSTER_VARIABLE] = str(file)
        settings = load_settings()
        try:
            platform.start(settings, lambda _: None)
            yield settings
        finally:
            Supervisor(settings.home).shutdown()
            del os.environ[CLUSTER_VARIABLE]


def _platform() -> dict[str, object]:
    return {
        "home": "home",
        "ports": dict(zip(("dagster", "mlflow", "gateway"), free_ports(3), strict=True)),
        "roots": [{"path": "runs", "model": MODEL}],
        "evaluation": {"suites": {MODEL: str(SUITE)}, "max_tokens": 12},
        "benchmark": PROFILE,
    }


def write_refused_checkpoint(root: Path, run: str, step: int) -> float:
    """A complete checkpoint of pickles only: its run ends after one stage. Returns when it ended.

    What lies between this moment and the start of its run is what is measured.
    """
    directory = root / run / f"checkpoint-{step}"
    directory.mkdir(parents=True)
    (directory / "config.json").write_text("{}")
    (directory / "pytorch_model.bin").write_bytes(b"\x80\x02.")
    last = directory / "trainer_state.json"
    last.write_text(json.dumps({"global_step": step, "log_history": []}))
    return last.stat().st_mtime
