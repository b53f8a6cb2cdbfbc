"""A Dagster run launcher for one machine: runs start by fork from a process that has imported all.

Dagster's own launcher spawns an interpreter a run (1.2-1.8 s before the first event) and cannot
tell that a run's process died. This one starts in a few hundredths of a second and answers health
checks, so that run monitoring fails a killed run at once, frees its pool slots and retries it.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import connection, forkserver, get_context, process
from threading import Thread
from typing import Any, Self

import psutil
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster import _check as check
from dagster._config.config_schema import UserConfigSchema
from dagster._core.instance import InstanceRef
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


def execute(run_id: str, reference: InstanceRef, arguments: Sequence[str]) -> None:
    """What a forked process does: the command line that Dagster defines for a run worker.

    It names itself in the run's tags before anything else, so that a run that has begun can be
    found and ended even if its launcher died in between.
    """
    from dagster._cli import create_dagster_cli

    os.setsid()
    with DagsterInstance.from_ref(reference) as instance:
        instance.add_run_tags(run_id, {WORKER_TAG: identify(psutil.Process())})
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
        run, reference = context.dagster_run, self._instance.get_ref()
        command = ExecuteRunArgs(
            job_origin=check.not_none(run.job_code_origin),
            run_id=run.run_id,
            instance_ref=reference,
        ).get_command_args()
        arguments = list(command[command.index("api") :])
        worker = self._context.Process(target=execute, args=(run.run_id, reference, arguments))
        worker.start()
        # Else the launcher's own end would wait for that of all its runs.
        vars(process)["_children"].discard(worker)
        Thread(target=self._attend, args=(run.run_id, worker), daemon=True).start()

    def _attend(self, run_id: str, worker: Any) -> None:
        """Report the run as over when its worker ended and left it open.

        Run monitoring would see it later, and a worker that died before the run began only after
        the start timeout. A worker that outlives the fork server is left to run monitoring.
        """
        connection.wait([worker.sentinel])
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or _is_alive(worker.pid):
            return
        reason = f"the run's process {worker.pid} ended before its work was done"
        if run.status is DagsterRunStatus.CANCELING:
            self._instance.report_run_canceled(run, reason)
        else:
            self._instance.report_run_failed(run, reason)

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        worker = _worker(run) if run and not run.is_finished else None
        if run is None or worker is None:
            return False
        self._instance.report_run_canceling(run)
        worker.send_signal(signal.SIGTERM)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        if _worker(run) is not None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.FAILED, f"the run's process {run.tags.get(WORKER_TAG, '')} is gone"
        )


def identify(worker: psutil.Process) -> str:
    """`pid:start time`, the time in seconds since boot where the clock could shift it."""
    started = worker.create_time() - (psutil.boot_time() if psutil.LINUX else 0)
    return f"{worker.pid}:{started:.2f}"


def _worker(run: DagsterRun) -> psutil.Process | None:
    """The live worker of `run`; None when it ended, even if its number was given away since."""
    name = run.tags.get(WORKER_TAG, "")
    pid = name.partition(":")[0]
    try:
        found = psutil.Process(int(pid)) if pid else None
        return found if found and _is_alive(found.pid) and identify(found) == name else None
    except psutil.NoSuchProcess:
        return None


def _is_alive(pid: int) -> bool:
    """Whether the process runs; an orphan's zombie, which nobody may ever reap, does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
