"""The graph where the file has GPUs: the run that hands one over, and what it leaves on record."""

from pathlib import Path

import dagster as dg
import pytest

from cloud_assets import definitions, keys
from cloud_assets.machines.gpus.assets import gpu_owner
from cloud_assets.machines.gpus.site import GpuSite
from cloud_assets.settings import Settings
from cloud_assets.settings_file import read_cluster_file
from resources.libvirt import Identity, domains, holder
from tests.machines.gpus.site import FILE, GPU, SERVES, TRAINS, machine


def handed_over(site: GpuSite, to: str) -> dg.ExecuteInProcessResult:
    given = {"gpu": GPU, "to": to, "requested_by": "ada", "reason": "to serve"}
    return dg.materialize(
        [gpu_owner],
        resources={"gpu_site": site},
        run_config={"ops": {keys.GPU_OWNER: {"config": given}}},
        raise_on_error=False,
    )


def start(site: GpuSite, name: str) -> None:
    wanted = machine(site.desired, name)
    domains.start(site.connection, Identity(wanted.name, wanted.uuid))


def owner(site: GpuSite) -> str | None:
    found = holder(site.connection, GPU)
    return found.name if found else None


def test_a_file_without_gpus_has_none_of_it() -> None:
    found = definitions.build(Settings().resolved(Path("/")))
    assert dg.AssetKey(keys.GPU_OWNER) not in found.resolve_asset_graph().get_all_asset_keys()


def test_a_file_with_gpus_has_the_job_and_a_sensor_that_is_off() -> None:
    read = read_cluster_file(FILE)
    found = definitions.build(read.platform, read.clusters)
    dg.Definitions.validate_loadable(found)
    assert found.resolve_job_def(keys.SWITCH_JOB).op_selection is None
    sensor = next(each for each in found.sensors or () if each.name == "gpu_demand")
    assert isinstance(sensor, dg.SensorDefinition)
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED


def test_a_run_hands_the_gpu_over_and_keeps_how(site: GpuSite) -> None:
    start(site, TRAINS)
    ended = handed_over(site, SERVES)
    assert ended.success
    assert owner(site) == SERVES
    (event,) = ended.asset_materializations_for_node(keys.GPU_OWNER)
    told = {key: each.value for key, each in event.metadata.items()}
    assert (told["gpu"], told["owner"], told["before"]) == (GPU, SERVES, TRAINS)
    assert (told["requested_by"], told["reason"]) == ("ada", "to serve")
    assert isinstance(told["steps"], list)
    assert [each["action"] for each in told["steps"]] == [
        "drain", "stop", "release", "start", "ready"
    ]  # fmt: skip


def test_a_run_that_fails_says_why_and_leaves_the_gpu_where_it_was(
    site: GpuSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(site, TRAINS)
    plan = site.plan(GPU, SERVES)
    monkeypatch.setattr(GpuSite, "plan", lambda *_: plan)
    site.connection.handle().lookupByName(SERVES).undefine()
    ended = handed_over(site, SERVES)
    assert not ended.success
    assert owner(site) == TRAINS
    failure = ended.failure_data_for_node(keys.GPU_OWNER)
    assert failure is not None
    assert failure.user_failure_data is not None
    assert "the former owner is back" in str(failure.user_failure_data.description)
