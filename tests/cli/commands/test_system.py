"""`ai-how system` from outside and from inside, on libvirt's test driver."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloud_assets.cli.commands.machines import clusters, system
from cloud_assets.machines.power import before
from cloud_assets.settings_file import load_settings
from resources.errors import NeedsRepair, PermanentError
from resources.libvirt import Connection, domains
from tests.cli.commands.test_machines import process, run, written
from tests.hypervisor.cell import Hypervisor
from tests.machines.conftest import Lab, cloud, hpc, refuse_start

HPC = {"hpc-controller", "hpc-compute-01", "hpc-compute-02"}
GPU_WORKER = "cloud-gpu-worker-01"
CLOUD = {"cloud-control-plane", "cloud-cpu-worker-01"}


def start(file: Path) -> None:
    system.start(file, preflight=True, reason="", as_json=True)


def status(file: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    capsys.readouterr()
    system.status(file, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_with_nothing_configured_it_says_so(tmp_path: Path) -> None:
    empty = tmp_path / "cluster.yaml"
    empty.write_text("platform: {ports: {dagster: 1, mlflow: 2, gateway: 3}}\n")
    assert run(empty, "system", "status") == (0, "system: not_configured\n", "")
    code, printed, _ = run(empty, "system", "status", "--format", "json")
    assert (code, json.loads(printed)["state"]) == (0, "not_configured")
    for verb in ("start", "stop", "destroy"):
        code, printed, told = run(empty, "system", verb)
        assert (code, printed) == (2, "")
        assert "the file has no clusters" in told


def test_without_a_file_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AI_HOW_CLUSTER", raising=False)
    with pytest.raises(Exception, match="no clusters"):
        system.stop(None, force=False, drain=True, reason="", as_json=False)
    system.status(None, as_json=False)


def test_a_hypervisor_that_is_away_is_an_error(tmp_path: Path) -> None:
    away = written(tmp_path, "test:///nowhere.xml")
    code, printed, told = run(away, "system", "status", "--json")
    assert (code, json.loads(printed)["state"]) == (1, "error")
    assert "error: libvirt could not open" in told


def test_both_start_stop_and_are_destroyed(
    lab: Lab, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(file, capsys)["state"] == "stopped"
    start(file)
    assert lab.active() == HPC | CLOUD
    found = status(file, capsys)
    assert found["state"] == "running"
    assert found["gpus"] == [
        {"gpu": "0000:01:00.0", "owner": "hpc-compute-02", "shared": True,
         "wanted_by": ["hpc-compute-02", "cloud-gpu-worker-01"]}
    ]  # fmt: skip
    system.stop(file, force=False, drain=True, reason="", as_json=False)
    told = capsys.readouterr().out.splitlines()
    assert told[-2:] == ["cloud: stopped", "hpc: stopped"]
    assert status(file, capsys)["state"] == "stopped"
    system.destroy(file, confirmed=lambda _: True, reason="", as_json=False)
    assert lab.names() == set()


def test_a_file_with_one_cluster_works_too(lab: Lab, tmp_path: Path) -> None:
    one = written(tmp_path, "test:///default", cloud=cloud())
    start(one)
    assert lab.active() == CLOUD
    system.stop(one, force=True, drain=True, reason="", as_json=True)
    assert lab.active() == set()


def test_nothing_is_destroyed_without_a_yes(lab: Lab, file: Path) -> None:
    start(file)
    asked: list[str] = []

    def no(told: str) -> bool:
        asked.append(told)
        return False

    system.destroy(file, confirmed=no, reason="", as_json=False)
    assert "hpc-controller" in asked[0]
    assert lab.active() == HPC | CLOUD


def test_where_the_cloud_fails_what_was_off_is_off_again(
    lab: Lab, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_start(monkeypatch, "cloud-cpu-worker-01")
    with pytest.raises(NeedsRepair, match=r"there is no room; off again: cloud-control-plane"):
        start(file)
    assert lab.active() == set()
    assert lab.names() >= HPC


def test_where_the_cloud_fails_what_ran_runs_on(
    lab: Lab, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(written(file.parent, "test:///default", hpc=hpc()))
    written(file.parent, "test:///default")
    refuse_start(monkeypatch, "cloud-control-plane")
    with pytest.raises(NeedsRepair, match="off again: cloud-cpu-worker-01"):
        start(file)
    assert lab.active() == HPC


def test_what_cannot_be_put_back_is_told(
    lab: Lab, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_start(monkeypatch, "cloud-cpu-worker-01")

    def busy(*_: object, **__: object) -> bool:
        raise PermanentError("libvirt", "shut it down", "it is busy")

    monkeypatch.setattr(domains, "shutdown", busy)
    with pytest.raises(NeedsRepair, match=r"no room; not all was put back: .*it is busy"):
        start(file)


def test_after_the_fault_is_mended_the_same_again_starts_all(
    lab: Lab, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        refuse_start(broken, "cloud-cpu-worker-01")
        with pytest.raises(NeedsRepair):
            start(file)
    start(file)
    assert lab.active() == HPC | CLOUD


def left_over(file: Path) -> Path:
    """As a start leaves it that was killed when it had begun: all were off before."""
    home = load_settings(file).home
    home.mkdir(parents=True, exist_ok=True)
    names = dict.fromkeys(sorted(HPC | CLOUD | {"cloud-gpu-worker-01"}), False)
    before.remembered(home, before.now("test:///default", names))
    return home


def test_a_start_that_was_killed_is_named_with_what_to_do(
    lab: Lab, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left_over(file)
    found = status(file, capsys)["unfinished_start"]
    assert isinstance(found, dict)
    assert (found["under_way"], set(found["off_before"])) == (False, HPC | CLOUD | {GPU_WORKER})
    system.status(file, as_json=False)
    told = capsys.readouterr().out.splitlines()[-1]
    assert "did not come to its end; off before it: cloud-control-plane, " in told
    assert "`ai-how system start` goes on with it" in told


def test_a_start_that_goes_on_is_told_from_that(
    lab: Lab, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = left_over(file)
    with before.alone(home):
        system.status(file, as_json=False)
        system.stop(file, force=True, drain=True, reason="", as_json=True)
    told = capsys.readouterr()
    assert "is under way since" in told.out.splitlines()[-1] + told.err
    assert before.unfinished(home, "test:///default") is not None


@pytest.mark.parametrize("verb", ["start", "stop", "destroy"])
def test_the_next_command_names_it_and_it_is_over(
    lab: Lab, file: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    left_over(file)
    if verb == "start":
        start(file)
    elif verb == "stop":
        start(file)
        left_over(file)
        system.stop(file, force=False, drain=True, reason="", as_json=True)
    else:
        system.destroy(file, confirmed=lambda _: True, reason="", as_json=True)
    assert ("did not come to its end" in capsys.readouterr().err) == (verb != "destroy")
    assert status(file, capsys)["unfinished_start"] is None


def test_what_ran_before_a_killed_start_is_not_what_ran_before_the_next(
    lab: Lab, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(written(file.parent, "test:///default", hpc=hpc()))
    written(file.parent, "test:///default")
    left_over(file)
    refuse_start(monkeypatch, "cloud-control-plane")
    with pytest.raises(NeedsRepair, match="off again: cloud-cpu-worker-01, hpc-compute-01"):
        start(file)
    assert lab.active() == set()


@pytest.mark.hypervisor
def test_killed_in_the_middle_without_a_platform_it_is_put_back_by_the_next(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    """A stranger has the name of a machine of the cloud, so that the next one fails there."""
    file = written(tmp_path, hypervisor.simulated_uri)
    with Connection(hypervisor.simulated_uri) as connection:
        with process(file, "system", "start") as killed:
            assert killed.stderr is not None
            while "cloud-network: network" not in killed.stderr.readline():
                assert killed.poll() is None
            killed.kill()
        assert Lab(connection).active() >= HPC
        assert "did not come to its end" in run(file, "system", "status")[1]
        for name in ("cloud-control-plane", "cloud-cpu-worker-01"):
            run(file, "vm", "stop", name, "--force")
        with stranger(connection, "cloud-gpu-worker-01"):
            code, _, told = run(file, "system", "start")
        assert code == 1
        assert "off again: hpc-compute-01, hpc-compute-02, hpc-controller" in told
        assert Lab(connection).active() == set()
        assert "did not come" not in run(file, "system", "status")[1]
        assert run(file, "system", "destroy", "--force")[0] == 0


@contextmanager
def stranger(connection: Connection, name: str) -> Iterator[None]:
    """Within, a machine of somebody else's has the name, whoever had it."""
    handle = connection.handle()
    if name in {each.name() for each in handle.listAllDomains()}:
        handle.lookupByName(name).undefine()
    domain = handle.defineXML(
        f"<domain type='test'><name>{name}</name><memory>65536</memory>"
        "<os><type>hvm</type></os></domain>"
    )
    try:
        yield
    finally:
        domain.undefine()


def test_a_clusters_status_has_nodes_owners_and_who_is_left_off(
    lab: Lab, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start(file)
    capsys.readouterr()
    clusters.status("cloud", file, as_json=True)
    rows = {each["machine"]: each for each in json.loads(capsys.readouterr().out)}
    gpu = rows["cloud-gpu-worker-01"]
    assert (gpu["state"], gpu["auto_start"], gpu["node"]) == ("off", False, "")
    assert gpu["gpus"] == [{"gpu": "0000:01:00.0", "owner": "hpc-compute-02"}]
    clusters.status("cloud", file, as_json=False)
    assert "GPU 0000:01:00.0: hpc-compute-02" in capsys.readouterr().out
