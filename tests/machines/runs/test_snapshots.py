"""Snapshots as a run: what it does, what it leaves on record, and what it refuses."""

from pathlib import Path

import dagster as dg
import pytest

from cloud_assets import definitions
from cloud_assets.machines.guests import snapshots
from cloud_assets.machines.host import Host
from cloud_assets.machines.runs.snapshots import build_jobs
from cloud_assets.settings import Settings
from cloud_assets.settings.machines import Machines
from cloud_assets.stages import SNAPSHOT_JOB, SNAPSHOT_STEP
from resources.libvirt import observation
from tests.machines.conftest import Lab, hpc, wanted

LEADER, WITH_GPU = "hpc-controller", "hpc-compute-02"


@pytest.fixture
def made(lab: Lab) -> Lab:
    lab.apply(wanted(hpc=hpc()))
    return lab


def ran(action: str, *machines: str) -> dg.ExecuteInProcessResult:
    host = Host(Machines(uri="test:///default"), wanted(hpc=hpc()))
    [job] = build_jobs(host.desired)
    given = {"action": action, "machines": list(machines), "name": "here", "requested_by": "ada"}
    return job.execute_in_process(
        run_config={"ops": {SNAPSHOT_STEP: {"config": given}}},
        resources={"host": host},
        raise_on_error=False,
    )


def kept(lab: Lab) -> list[str]:
    return [each.name for each in snapshots.listed(lab.connection, [LEADER])]


def test_a_file_without_clusters_has_no_such_job() -> None:
    found = definitions.build(Settings().resolved(Path("/")))
    assert SNAPSHOT_JOB not in {each.name for each in found.resolve_all_job_defs()}


def test_a_machine_is_kept_and_its_page_tells_of_it(made: Lab) -> None:
    ended = ran("create", LEADER)
    assert (ended.success, kept(made)) == (True, ["here"])
    [event] = [each for each in ended.all_events if each.is_asset_observation]
    observed = event.asset_observation_data.asset_observation
    assert observed.asset_key == dg.AssetKey("hpc_controller")
    told = {key: each.value for key, each in observed.metadata.items()}
    assert (told["action"], told["snapshot"], told["requested_by"]) == ("create", "here", "ada")


def test_it_is_brought_back_and_forgotten(made: Lab) -> None:
    assert ran("create", LEADER).success
    made.connection.handle().lookupByName(LEADER).destroy()
    assert ran("revert", LEADER).success
    found = observation.domain(made.connection, LEADER)
    assert found is not None
    assert found.is_active
    assert ran("delete", LEADER).success
    assert kept(made) == []


def test_what_cannot_be_kept_fails_the_run_with_what_mends_it(made: Lab) -> None:
    ended = ran("create", LEADER, WITH_GPU)
    assert not ended.success
    [failed] = ended.get_step_failure_events()
    failure = failed.step_failure_data.user_failure_data
    assert failure is not None
    assert f"ai-how vm stop {WITH_GPU}" in str(failure.metadata["fix"].value)
    assert kept(made) == []
