"""What changes machines is asked of the graph, which keeps a record; without a platform it is here.

Everything that a person asks for in one command has one `Asked`.
"""

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloud_assets.cli import output
from cloud_assets.cli.run_steps import Ended, Steps, follow, require_success
from cloud_assets.machines.applying.progress import Step
from cloud_assets.machines.host import Host
from cloud_assets.machines.power.execution import Ground, carry_out
from cloud_assets.machines.power.request import Action, Request
from cloud_assets.machines.power.schedulers import Schedulers
from cloud_assets.settings import Settings
from cloud_assets.settings.document import ClusterFile
from cloud_assets.settings_file import load_cluster_file, load_settings, settings_path
from cloud_assets.stages import (
    POWER_CUT_JOB,
    POWER_JOB,
    POWER_STEPS,
    REASON_TAG,
    REQUESTED_BY_TAG,
)
from resources.dagster.graphql import DagsterGraphQL
from resources.errors import TransientError

_NO_RECORD = "no run keeps a record of this"
_LONGEST_TAG = 500


@dataclass(frozen=True)
class Asked:
    """What a person named: a file, or that in force by None, and why."""

    path: Path | None = None
    reason: str = ""
    steps: Steps = field(default_factory=Steps)

    def read(self) -> ClusterFile:
        """All of the file; without any the defaults, which have no machines."""
        if self.path is None and settings_path() is None:
            return ClusterFile(platform=load_settings())
        return load_cluster_file(self.path)

    @property
    def is_in_force(self) -> bool:
        """Whether the graph has this file; another one is made from here."""
        known = settings_path()
        return self.path is None or (known is not None and self.path.absolute() == known.absolute())

    def told(self, step: Step) -> None:
        """A phase of a machine, for the person."""
        self.steps.tell(str(step))

    def by_a_run(
        self, settings: Settings, job: str, config: Mapping[str, Any], *, action: str,
        assets: Sequence[str] = (),
    ) -> Ended | None:  # fmt: skip
        """The run that has done it; None where there is no platform to run it.

        Raises PermanentError with why, where it failed.
        """
        if not self.is_in_force:
            output.note(f"this file is not the one in force: {_NO_RECORD}")
            return None
        graph = DagsterGraphQL(settings.dagster_url)
        tags = {REQUESTED_BY_TAG: getpass.getuser()}
        if self.reason:
            tags[REASON_TAG] = self.reason[:_LONGEST_TAG]
        try:
            run_id = graph.submit(job, assets=assets, config=config, tags=tags)
        except TransientError:
            output.note(f"the platform is down: {_NO_RECORD}")
            return None
        output.note(f"{action}: run {run_id}")
        ended = follow(graph, run_id)
        require_success(graph, ended, action)
        return ended


def power(asked: Asked, read: ClusterFile, request: Request) -> Mapping[str, Any]:
    """What became of it, as the run's own record has it, with the run, None where none was."""
    if read.clusters.hpc is None and read.clusters.cloud is None:
        output.note(f"the file has no clusters: {_NO_RECORD}")
    else:
        ended = _by_a_run(asked, read.platform, request)
        if ended is not None:
            return {**ended.given["outcome"], "run": ended.run.run_id}
    settings = read.platform
    host = Host.of(settings.machines, read.clusters)
    ground = Ground(host, Schedulers(settings), settings.home / "logs", told=asked.told)
    return {**carry_out(request, ground).document(), "run": None}


def _by_a_run(asked: Asked, settings: Settings, request: Request) -> Ended | None:
    is_cut = request.force and request.action is Action.stop
    job = POWER_CUT_JOB if is_cut else POWER_JOB
    given = {
        "action": request.action.name,
        "machines": list(request.machines),
        "cluster": request.cluster or "",
        "force": request.force,
        "drain": request.drain,
        "wait": request.wait,
        "requested_by": getpass.getuser(),
        "reason": asked.reason,
    }
    what = request.cluster or ", ".join(request.machines)
    config = {"ops": {POWER_STEPS[job]: {"config": given}}}
    return asked.by_a_run(settings, job, config, action=f"{request.action.value} {what}")
