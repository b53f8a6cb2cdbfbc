"""All jobs that act on machines which are there already; what makes them is `assets`' job."""

import dagster as dg

from cloud_assets.machines.desired import Desired
from cloud_assets.machines.power import job as power
from cloud_assets.machines.runs import snapshots


def build_jobs(desired: Desired) -> list[dg.JobDefinition]:
    """Their power and their snapshots; none without clusters."""
    return [*power.build_jobs(desired), *snapshots.build_jobs(desired)]
