"""Snapshots by a run of the graph, which keeps a record of who asked for what."""

import getpass
from collections.abc import Sequence

from cloud_assets.cli import output
from cloud_assets.cli.commands.requests import require_success
from cloud_assets.machines.host import Host
from cloud_assets.settings import Settings
from cloud_assets.stages import SNAPSHOT_JOB, SNAPSHOT_STEP
from resources.dagster.graphql import DagsterGraphQL
from resources.errors import TransientError


def done(
    settings: Settings, host: Host, action: str, machines: Sequence[str], name: str,
    description: str = "",
) -> bool:  # fmt: skip
    """Whether a run has done it; False where there is no platform to run it.

    Raises PermanentError with why, where it failed.
    """
    if not host.desired.clusters:
        # The graph has no machines, and no job for them.
        return False
    graph = DagsterGraphQL(settings.dagster_url)
    given = {
        "action": action,
        "machines": list(machines),
        "name": name,
        "description": description,
        "requested_by": getpass.getuser(),
    }
    try:
        run_id = graph.submit(SNAPSHOT_JOB, config={"ops": {SNAPSHOT_STEP: {"config": given}}})
    except TransientError:
        output.note("the platform is down: no run keeps a record of this")
        return False
    output.note(f"{action} {name}: run {run_id}")
    require_success(graph, run_id, f"{action} the snapshot {name} of {', '.join(machines)}")
    return True
