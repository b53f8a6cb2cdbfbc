"""The programs of the embedded platform, and the Dagster files that they read.

What keeps them running is `resources.supervisor.supervisord`; model servers join them at run time.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from cloud_assets.settings import Settings
from cloud_assets.settings_file import CLUSTER_VARIABLE, HOME_VARIABLE, settings_path
from cloud_assets.stages import GPU_POOL, MACHINES_POOL
from resources.errors import PermanentError
from resources.supervisor import Program, Supervisor

#: What the fork server has in memory: without it each run would import these for 7 CPU seconds.
PRELOAD = (
    "resources.dagster.preload",
    "cloud_assets.definitions",
    "scipy.stats",
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
    "pyarrow.parquet",
)
CODE_LOCATION = "ai-how"

#: Seconds that one sensor tick may take: it holds until a checkpoint comes (settings.watch).
SENSOR_TIMEOUT_SECONDS = 120


def dagster_home(settings: Settings) -> Path:
    return settings.home / "dagster"


def code_socket(supervisor: Supervisor) -> Path:
    """Beside supervisord's own, which knows where a path is short enough for a socket."""
    return supervisor.files.socket.with_name("code.sock")


def instance_config() -> Mapping[str, Any]:
    """`dagster.yaml`: one run a checkpoint, killed runs retried, ticks not kept for ever."""
    ticks = {"skipped": 1, "failure": 30, "success": 30, "started": 7}
    return {
        "run_launcher": {"module": "resources.dagster.launcher", "class": "ForkRunLauncher"},
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {"dequeue_interval_seconds": 1},
        },
        "concurrency": {
            "pools": {"default_limit": 1, "granularity": "run"},
            "runs": {
                "max_concurrent_runs": 10,
                "tag_concurrency_limits": [
                    {
                        "key": "dagster/partition",
                        "value": {"applyLimitPerUniqueValue": True},
                        "limit": 1,
                    }
                ],
            },
        },
        "sensors": {"use_threads": True, "num_workers": 8},
        "run_monitoring": {
            "enabled": True,
            "poll_interval_seconds": 2,
            "start_timeout_seconds": 60,
            "free_slots_after_run_end_seconds": 5,
        },
        "run_retries": {
            "enabled": True,
            "max_retries": 3,
            "retry_on_asset_or_op_failure": False,
        },
        "retention": {"sensor": {"purge_after_days": ticks}},
        "telemetry": {"enabled": False},
        # Else the UI greets every browser with a sign-up form for a newsletter.
        "nux": {"enabled": False},
    }


def write_dagster_files(settings: Settings, supervisor: Supervisor) -> None:
    """`dagster.yaml` and `workspace.yaml` below home, replaced whole."""
    home = dagster_home(settings)
    home.mkdir(parents=True, exist_ok=True)
    server = {"socket": str(code_socket(supervisor)), "location_name": CODE_LOCATION}
    documents = {
        "dagster.yaml": instance_config(),
        "workspace.yaml": {"load_from": [{"grpc_server": server}]},
    }
    for name, document in documents.items():
        partial = home / f".{name}.partial"
        partial.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
        partial.replace(home / name)


def make_instance(settings: Settings) -> None:
    """Dagster's SQLite files, made by one process before several open them.

    Two that make them at once leave two schema heads behind. Made beside and renamed, so that a
    killed first start leaves nothing half-made.
    """
    home = dagster_home(settings)
    if (home / "history").exists():
        return
    partial = settings.home / "dagster.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / "dagster.yaml").write_text("telemetry: {enabled: false}\n", "utf-8")
    made = subprocess.run(
        [sys.executable, "-m", "dagster", "instance", "migrate"],
        env={**os.environ, **environment(settings), "DAGSTER_HOME": str(partial)},
        capture_output=True,
        text=True,
    )
    if made.returncode != 0:
        last = made.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise PermanentError("Dagster", f"make its instance in {partial}", last[0])
    shutil.rmtree(home, ignore_errors=True)
    partial.rename(home)


def programs(settings: Settings, supervisor: Supervisor) -> tuple[Program, ...]:
    """All that must run, in the order in which they are started."""
    home = settings.home
    workspace = str(dagster_home(settings) / "workspace.yaml")
    listed = [
        _program(settings, "gateway", "resources.gateway.app",
                 "--port", str(settings.ports.gateway),
                 "--routes", str(home / "gateway" / "routes.json")),
        _program(settings, "code", "dagster", "api", "grpc",
                 "--module-name", "cloud_assets.definitions",
                 "--location-name", CODE_LOCATION,
                 "--socket", str(code_socket(supervisor)),
                 "--working-directory", str(home)),
        _daemon(settings, workspace, code_socket(supervisor)),
        _program(settings, "dagster", "resources.dagster.webserver",
                 "-h", "127.0.0.1", "-p", str(settings.ports.dagster), "-w", workspace),
    ]  # fmt: skip
    return (*([] if settings.registry.url else [_mlflow(settings)]), *listed)


def _mlflow(settings: Settings) -> Program:
    home = settings.home / "mlflow"
    return _program(
        settings, "mlflow", "resources.mlflow.server",
        "--backend-store-uri", f"sqlite:///{home}/mlflow.db",
        "--artifacts-destination", str(home / "artifacts"),
        "--host", "127.0.0.1", "--port", str(settings.ports.mlflow),
        # One worker: a second would not know of the first one's caches, and SQLite has one writer.
        "--workers", "1",
    )  # fmt: skip


def _program(settings: Settings, name: str, module: str, *arguments: str) -> Program:
    return Program(
        name=name,
        command=(sys.executable, "-m", module, *arguments),
        directory=settings.home,
        environment=environment(settings),
        # A sensor's tick holds its server and the daemon for up to `watch.hold_seconds`; all of
        # these can be killed at any moment.
        stopwaitsecs=1,
    )


def _daemon(settings: Settings, workspace: str, socket: Path) -> Program:
    program = _program(settings, "daemon", "resources.dagster.daemon", "run", "-w", workspace)
    variables = {**program.environment, "AI_HOW_CODE_SOCKET": str(socket)}
    return replace(program, environment=variables)


def environment(settings: Settings) -> Mapping[str, str]:
    """What every program sees beside its inherited environment."""
    variables = {
        "DAGSTER_HOME": str(dagster_home(settings)),
        HOME_VARIABLE: str(settings.home),
        "AI_HOW_PRELOAD": ",".join(PRELOAD),
        "AI_HOW_POOLS": f"{GPU_POOL},{MACHINES_POOL}",
        "DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": str(SENSOR_TIMEOUT_SECONDS),
        # A killed run is asked for again within this, not within Dagster's 5 s.
        "DAGSTER_EVENT_LOG_CONSUMER_DAEMON_INTERVAL_SECONDS": "1",
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "DO_NOT_TRACK": "1",
        # Threads of a fork server would be lost to its forks, and idle ones only cost here.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    cluster = settings_path()
    if cluster is not None:
        variables[CLUSTER_VARIABLE] = str(cluster.absolute())
    return variables
