"""A Dagster run launcher for one machine: runs start by fork from a process that has imported all.

Dagster's own launcher spawns an interpreter a run (1.2-1.8 s before the first event) and cannot
tell that a run's process died. This one starts in a few hundredths of a second and answers health
checks, so that run monitoring fails a killed run at once, frees its pool slots and retries it.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver, get_context
from typing import Any, Self

import psutil
from dagster import DagsterRun
from dagster import _check as check
from dagster._config.config_schema import UserConfigSchema
from dagster._core.launcher.base import (
    CheckRunHealthResult,
    LaunchRunContext,
    RunLauncher,
    WorkerStatus,
)
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClass
from dagster._serdes.config_class import ConfigurableClassData

WORKER_TAG = "ai-how/worker"
PRELOAD_VARIABLE = "AI_HOW_PRELOAD"


def execute(arguments: Sequence[str]) -> None:
    """What a forked process does: the command line that Dagster defines for a run worker."""
    from dagster._cli import create_dagster_cli

    os.setsid()
    sys.argv = ["dagster", *arguments]
    create_dagster_cli()(list(arguments), standalone_mode=False)


def warm() -> None:
    """Start the fork server now; it imports in its own time the modules that AI_HOW_PRELOAD names.

    Without a call the first run waits for the imports.
    """
    names = [name for name in os.environ.get(PRELOAD_VARIABLE, "").split(",") if name]
    forkserver.set_forkserver_preload(names)
    forkserver.ensure_running()


class ForkRunLauncher(RunLauncher[Any], ConfigurableClass):
    """Launches each run as a fork of a server that has the code of the graph in memory.

    The worker's process is named in the run's tag `ai-how/worker` as `pid:start time`, so that any
    process on this machine can end it or see that it is gone, even after the launcher's own death.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._inst_data = inst_data
        self._context = get_context("forkserver")
        self._workers: dict[str, Any] = {}

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> Self:
        return cls(inst_data=inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        command = ExecuteRunArgs(
            job_origin=check.not_none(run.job_code_origin),
            run_id=run.run_id,
            instance_ref=self._instance.get_ref(),
        ).get_command_args()
        arguments = list(command[command.index("api") :])
        worker = self._context.Process(target=execute, args=(arguments,), daemon=False)
        worker.start()
        self._reap()
        self._workers[run.run_id] = worker
        self._instance.add_run_tags(run.run_id, {WORKER_TAG: _identify(worker.pid)})

    def _reap(self) -> None:
        """Collect the ended ones, so that none stays as a zombie and memory stays bounded."""
        self._workers = {run: worker for run, worker in self._workers.items() if worker.is_alive()}

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        process = _process(run) if run and not run.is_finished else None
        if run is None or process is None:
            return False
        self._instance.report_run_canceling(run)
        process.send_signal(signal.SIGTERM)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        process = _process(run)
        if process is not None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.FAILED, f"the run's process {run.tags.get(WORKER_TAG, '')} is gone"
        )


def _identify(pid: int | None) -> str:
    process = psutil.Process(pid)
    return f"{process.pid}:{process.create_time():.2f}"


def _process(run: DagsterRun) -> psutil.Process | None:
    """The live worker of `run`; None when it ended, even if its number was given away since."""
    pid, _, started = run.tags.get(WORKER_TAG, "").partition(":")
    if not pid:
        return None
    try:
        process = psutil.Process(int(pid))
        alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        return process if alive and f"{process.create_time():.2f}" == started else None
    except psutil.NoSuchProcess:
        return None
