"""The job `start_system`: what its run keeps of each machine, and how a failed one ends."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cloud_assets import definitions, keys
from cloud_assets.machines.host import Host
from cloud_assets.settings import Settings
from cloud_assets.settings.machines import Clusters, Machines
from cloud_assets.stages import SYSTEM_JOB, SYSTEM_STEP
from tests.machines.conftest import Lab, cloud, hpc, refuse_start, wanted

CLUSTERS = {"hpc": hpc(), "cloud": cloud()}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def run(instance: dg.DagsterInstance, home: Path) -> dg.ExecuteInProcessResult:
    """One that may fail, asked for by Ada."""
    key = home / "key.pub"
    key.write_text("ssh-ed25519 AAAA somebody\n")
    settings = Settings(home=home).resolved(home)
    built = definitions.build(settings, Clusters.model_validate(CLUSTERS))
    machines = Machines(uri="test:///default", pool_root=Path("/pools"), ssh_public_key=key)
    host = Host(machines, wanted(**CLUSTERS))
    job = dg.Definitions(
        assets=built.assets, jobs=built.jobs, resources={**(built.resources or {}), "host": host}
    ).resolve_job_def(SYSTEM_JOB)
    asked = {"requested_by": "ada", "reason": "a test"}
    return job.execute_in_process(
        instance=instance, run_config={"ops": {SYSTEM_STEP: {"config": asked}}},
        raise_on_error=False,
    )  # fmt: skip


def test_without_clusters_there_is_no_such_job() -> None:
    found = definitions.build(Settings().resolved(Path("/")))
    assert SYSTEM_JOB not in {each.name for each in found.resolve_all_job_defs()}


def test_it_is_alone_with_the_machines() -> None:
    built = definitions.build(Settings().resolved(Path("/srv")), Clusters.model_validate(CLUSTERS))
    nodes = built.resolve_job_def(SYSTEM_JOB).all_node_defs
    assert [each.pool for each in nodes if isinstance(each, dg.OpDefinition)] == [
        keys.MACHINES_POOL
    ]


def test_every_machine_network_and_pool_is_made_on_its_own_page(
    lab: Lab, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    assert run(instance, tmp_path).success
    assert len(lab.active()) == 5
    for asset in ("hpc_network", "hpc_controller", "cloud_pool", "cloud_gpu_worker_01"):
        found = instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert found is not None
        assert found.asset_materialization is not None
        assert found.asset_materialization.metadata["changes"].value


def test_a_failed_one_says_why_and_what_went_off_again_says_so(
    lab: Lab, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_start(monkeypatch, "cloud-cpu-worker-01")
    ended = run(instance, tmp_path)
    assert not ended.success
    failure = ended.failure_data_for_node(SYSTEM_STEP)
    assert failure is not None
    assert failure.user_failure_data is not None
    assert "no room; off again: cloud-control-plane" in str(failure.user_failure_data.description)
    assert lab.active() == set()
    assert instance.get_latest_materialization_event(dg.AssetKey("cloud_cpu_worker_01")) is None
    [page] = instance.fetch_observations(dg.AssetKey("hpc_controller"), limit=1).records
    observed = page.event_log_entry.asset_observation
    assert observed is not None
    told = {key: each.value for key, each in observed.metadata.items()}
    assert (told["action"], told["requested_by"]) == ("stop", "ada")
