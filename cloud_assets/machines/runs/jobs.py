"""All jobs that act on machines; what only makes them what the file says is `assets`' job."""

import dagster as dg

from cloud_assets.machines.desired import Desired
from cloud_assets.machines.power import job as power
from cloud_assets.machines.runs import snapshots, system


def build_jobs(desired: Desired) -> list[dg.JobDefinition]:
    """Their power, their snapshots, all of them together; none without clusters."""
    return [
        *power.build_jobs(desired),
        *snapshots.build_jobs(desired),
        *system.build_jobs(desired),
    ]
