"""The jobs of power: what a run of them keeps, and what a machine's own page tells of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cloud_assets import definitions, keys
from cloud_assets.machines.host import Host
from cloud_assets.settings import Settings
from cloud_assets.settings.machines import Clusters, Machines
from cloud_assets.stages import POWER_STEPS
from tests.machines.conftest import Lab, cloud, hpc, wanted

CLUSTERS = {"hpc": hpc(), "cloud": cloud()}
WORKER = "cloud-cpu-worker-01"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def run(
    instance: dg.DagsterInstance, job: str = keys.POWER_JOB, **given: Any
) -> dg.ExecuteInProcessResult:
    """One that may fail, asked for by Ada."""
    built = definitions.build(Settings().resolved(Path("/srv")), Clusters.model_validate(CLUSTERS))
    host = Host(Machines(uri="test:///default"), wanted(**CLUSTERS))
    found = dg.Definitions(
        assets=built.assets, jobs=built.jobs, resources={**(built.resources or {}), "host": host}
    ).resolve_job_def(job)
    asked = {"requested_by": "ada", "reason": "a test", **given}
    return found.execute_in_process(
        instance=instance,
        run_config={"ops": {POWER_STEPS[job]: {"config": asked}}},
        raise_on_error=False,
    )


def page(instance: dg.DagsterInstance, asset: str) -> dict[str, object]:
    """What was last observed of a machine."""
    [found] = instance.fetch_observations(dg.AssetKey(asset), limit=1).records
    observed = found.event_log_entry.asset_observation
    assert observed is not None
    return {key: each.value for key, each in observed.metadata.items()}


def test_without_clusters_there_are_no_such_jobs() -> None:
    found = definitions.build(Settings().resolved(Path("/")))
    assert not {each.name for each in found.resolve_all_job_defs()} & set(POWER_STEPS)


def test_a_machines_page_says_who_stopped_it_and_why(
    lab: Lab, instance: dg.DagsterInstance
) -> None:
    lab.apply(wanted(**CLUSTERS))
    assert run(instance, action="stop", machines=[WORKER]).success
    assert WORKER not in lab.active()
    told = page(instance, "cloud_cpu_worker_01")
    assert (told["action"], told["outcome"]) == ("stop", "done")
    assert (told["requested_by"], told["reason"]) == ("ada", "a test")


def test_a_destroyed_cluster_is_on_the_pages_of_all_that_went(
    lab: Lab, instance: dg.DagsterInstance
) -> None:
    lab.apply(wanted(**CLUSTERS))
    assert run(instance, action="destroy", cluster="cloud").success
    for asset in ("cloud_network", "cloud_pool", "cloud_control_plane", "cloud_gpu_worker_01"):
        assert page(instance, asset)["action"] == "destroy"


def test_the_power_is_cut_by_a_job_that_does_nothing_else(
    lab: Lab, instance: dg.DagsterInstance
) -> None:
    lab.apply(wanted(**CLUSTERS))
    cut = keys.POWER_CUT_JOB
    assert not run(instance, cut, action="start", machines=[WORKER]).success
    assert not run(instance, cut, action="stop", machines=[WORKER]).success
    assert WORKER in lab.active()
    assert run(instance, cut, action="stop", machines=[WORKER], force=True).success
    assert WORKER not in lab.active()


@pytest.mark.parametrize("given", [{"cluster": "edge"}, {"machines": []}, {"machines": ["x"]}])
def test_nonsense_fails_with_a_word(
    lab: Lab, instance: dg.DagsterInstance, given: dict[str, Any]
) -> None:
    ended = run(instance, action="stop", **given)
    failure = ended.failure_data_for_node(POWER_STEPS[keys.POWER_JOB])
    assert failure is not None
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.description


@pytest.mark.parametrize("job", [keys.POWER_JOB, keys.MACHINES_JOB, keys.SWITCH_JOB])
def test_who_makes_machines_stops_them_or_moves_their_gpus_is_alone(job: str) -> None:
    built = definitions.build(Settings().resolved(Path("/srv")), Clusters.model_validate(CLUSTERS))
    nodes = built.resolve_job_def(job).all_node_defs
    pools = {each.pool for each in nodes if isinstance(each, dg.OpDefinition) and each.pool}
    assert pools == {keys.MACHINES_POOL}
