"""The contract of the graph where the file has clusters, and what its assets do on a hypervisor."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from cloud_assets import definitions, keys
from cloud_assets.machines.host import Host
from cloud_assets.settings import Settings
from cloud_assets.settings.machines import Clusters, Machines
from resources.libvirt import Connection, domains
from sensors import machines as sensors
from tests.machines.conftest import Lab, cloud, hpc, refuse_start

SETTINGS = Settings().resolved(Path("/srv/platform"))
CLUSTERS = Clusters.model_validate({"hpc": hpc(), "cloud": cloud()})

#: machine's asset: what it is made from
MADE_FROM = {
    **dict.fromkeys(("hpc_controller", "hpc_compute_01", "hpc_compute_02"), "hpc"),
    **dict.fromkeys(("cloud_control_plane", "cloud_cpu_worker_01", "cloud_gpu_worker_01"), "cloud"),
}
ASSETS = {
    **{name: {f"{kind}_network", f"{kind}_pool"} for name, kind in MADE_FROM.items()},
    **{f"{kind}_{what}": set[str]() for kind in ("hpc", "cloud") for what in ("network", "pool")},
}
MACHINES = {name for name, made_from in ASSETS.items() if made_from}


@pytest.fixture(scope="module")
def graph() -> AssetGraph:
    return definitions.build(SETTINGS, CLUSTERS).resolve_asset_graph()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    key = tmp_path / "key.pub"
    key.write_text("ssh-ed25519 AAAA somebody\n")
    settings = Machines(uri="test:///default", pool_root=Path("/pools"), ssh_public_key=key)
    return Host.of(settings, CLUSTERS)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def run(host: Host, instance: dg.DagsterInstance, *assets: str) -> dg.ExecuteInProcessResult:
    """The job, or a part of it; failing is a result, no exception."""
    built = definitions.build(SETTINGS, CLUSTERS)
    job = dg.Definitions(
        assets=built.assets,
        asset_checks=built.asset_checks,
        jobs=built.jobs,
        resources={**(built.resources or {}), "host": host},
    ).resolve_job_def(keys.MACHINES_JOB)
    return job.execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(each) for each in assets] or None,
        raise_on_error=False,
    )


def made(result: dg.ExecuteInProcessResult) -> dict[str, list[str]]:
    """What changed of each asset that was materialised."""
    return {
        event.asset_key.to_user_string(): event.materialization.metadata["changes"].value  # type: ignore[union-attr,misc]
        for event in result.get_asset_materialization_events()
    }


def test_it_is_loadable() -> None:
    dg.Definitions.validate_loadable(definitions.build(SETTINGS, CLUSTERS))


def test_without_clusters_there_is_nothing_of_it() -> None:
    found = definitions.build(SETTINGS)
    assert "machine_drift" not in {each.name for each in found.sensors or ()}
    assert keys.MACHINES_JOB not in {each.name for each in found.resolve_all_job_defs()}


def test_these_are_its_assets(graph: AssetGraph) -> None:
    nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
    found = {
        each.key.to_user_string(): {key.to_user_string() for key in each.parent_keys}
        for each in nodes
        if each.group_name == "machines"
    }
    assert found == {**ASSETS, "gpu_owner": set()}


@pytest.mark.parametrize("name", ASSETS)
def test_an_asset_tells_whose_it_is_and_what_it_means(graph: AssetGraph, name: str) -> None:
    found = graph.get(dg.AssetKey(name))
    assert (found.owners, found.kinds) == (["team:ml-platform"], {"libvirt"})
    assert found.code_version
    assert found.description


def test_these_are_its_checks(graph: AssetGraph) -> None:
    found = {
        (key.asset_key.to_user_string(), key.name)
        for key in graph.asset_check_keys
        if key.asset_key.to_user_string() in ASSETS
    }
    names = ("running_as_desired", "address_answers")
    assert found == {(machine, name) for machine in MACHINES for name in names}
    assert all(graph.get_check_spec(dg.AssetCheckKey(dg.AssetKey(each), name)).blocking
               for each, name in found)  # fmt: skip


def test_the_job_makes_all_machines_once(
    lab: Lab, host: Host, instance: dg.DagsterInstance
) -> None:
    first = run(host, instance)
    assert first.success
    assert set(made(first)) == set(ASSETS)
    assert len(lab.active()) == 5
    assert all(each.passed for each in first.get_asset_check_evaluations())
    assert len(first.get_asset_check_evaluations()) == 2 * len(MACHINES)
    assert set(map(len, made(run(host, instance)).values())) == {0}


def test_one_machine_can_be_asked_for(lab: Lab, host: Host, instance: dg.DagsterInstance) -> None:
    run(host, instance, "hpc_network", "hpc_pool", "hpc_controller")
    assert lab.names() == {"hpc-controller"}


def test_a_machine_that_fails_leaves_the_others_made_and_the_run_failed(
    lab: Lab, host: Host, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_start(monkeypatch, "hpc-controller")
    result = run(host, instance)
    assert not result.success
    assert set(ASSETS) - set(made(result)) == {"hpc_controller"}


def test_the_check_tells_what_somebody_changed(
    lab: Lab, host: Host, instance: dg.DagsterInstance
) -> None:
    run(host, instance)
    lab.redefine("hpc-controller", "<memory unit='KiB'>1048576<", "<memory unit='KiB'>2097152<")
    [check] = [
        each
        for each in definitions.build(SETTINGS, CLUSTERS).asset_checks or ()
        if dg.AssetCheckKey(dg.AssetKey("hpc_controller"), "running_as_desired") in each.check_keys
    ]
    found = check(host)
    assert isinstance(found, dg.AssetCheckResult)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "memory: 2097152 → 1048576" in str(found.description)


def tick(host: Host, instance: dg.DagsterInstance) -> tuple[list[str], str]:
    """The assets that the sensor asks for, and what it says."""
    [sensor] = sensors.build_sensors(
        [dg.define_asset_job(keys.MACHINES_JOB, selection=["hpc_controller"])]
    )
    with dg.build_sensor_context(instance=instance, resources={"host": host}) as context:
        found = sensor.evaluate_tick(context)
    requests = found.run_requests or []
    asked = [key.to_user_string() for each in requests for key in each.asset_selection or ()]
    said = "".join(str(each.tags) for each in requests) or str(found.skip_message)
    return asked, said


def test_nothing_is_asked_for_where_nothing_is_wrong(
    lab: Lab, host: Host, instance: dg.DagsterInstance
) -> None:
    run(host, instance)
    assert tick(host, instance) == ([], "everything is as it should be")


def test_machines_that_nobody_made_yet_are_told_and_not_asked_for(
    lab: Lab, host: Host, instance: dg.DagsterInstance
) -> None:
    asked, said = tick(host, instance)
    assert asked == []
    assert "create machine hpc-controller" in said


def test_a_machine_that_somebody_stopped_is_told_and_left_off(
    lab: Lab, host: Host, instance: dg.DagsterInstance
) -> None:
    run(host, instance)
    lab.connection.handle().lookupByName("hpc-controller").destroy()
    asked, said = tick(host, instance)
    assert (asked, said) == ([], "start machine hpc-controller: it is off")


def test_a_network_that_is_down_is_asked_for(
    lab: Lab, host: Host, instance: dg.DagsterInstance
) -> None:
    run(host, instance)
    lab.connection.handle().networkLookupByName("cloud-network").destroy()
    asked, said = tick(host, instance)
    assert asked == ["cloud_network"]
    assert "it is not active" in said


def test_a_hypervisor_that_is_away_is_told(host: Host, instance: dg.DagsterInstance) -> None:
    away = Host(host.settings.model_copy(update={"uri": "test:///nowhere.xml"}), host.desired)
    asked, said = tick(away, instance)
    assert asked == []
    assert "libvirt could not" in said


def test_without_a_public_key_nothing_is_planned(host: Host, lab: Lab) -> None:
    settings = host.settings.model_copy(update={"ssh_public_key": Path("/none.pub")})
    with pytest.raises(Exception, match="No such file") as raised:
        Host(settings, host.desired).plan(lab.connection)
    assert "ssh-keygen" in str(getattr(raised.value, "hint", ""))


def test_nobody_opens_a_connection_while_the_graph_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Connection, "handle", lambda _: pytest.fail("opened"))
    monkeypatch.setattr(domains, "define", lambda *_: pytest.fail("defined"))
    definitions.build(SETTINGS, CLUSTERS)
