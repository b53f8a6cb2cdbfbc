"""Snapshots by a run of the graph, which keeps a record of who asked for what."""

import getpass
from collections.abc import Sequence

from cloud_assets.cli.commands.machines.recorded import Asked
from cloud_assets.machines.host import Host
from cloud_assets.settings import Settings
from cloud_assets.stages import SNAPSHOT_JOB, SNAPSHOT_STEP


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
    given = {
        "action": action,
        "machines": list(machines),
        "name": name,
        "description": description,
        "requested_by": getpass.getuser(),
    }
    config = {"ops": {SNAPSHOT_STEP: {"config": given}}}
    what = f"{action} the snapshot {name} of {', '.join(machines)}"
    return Asked().by_a_run(settings, SNAPSHOT_JOB, config, action=what) is not None
