"""`ai-how plan`, `vm`, `hpc`, `cloud` from outside, on libvirt's test driver."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from resources.libvirt import Connection, observe
from tests.hypervisor.bound import require_bindings
from tests.hypervisor.cell import Hypervisor
from tests.machines.conftest import cloud, hpc

REPOSITORY = Path(__file__).parents[3]
ALL = {
    "hpc-controller", "hpc-compute-01", "hpc-compute-02", "cloud-control-plane",
    "cloud-cpu-worker-01", "cloud-gpu-worker-01",
}  # fmt: skip
KILLS = 20


@pytest.fixture(autouse=True)
def _bindings() -> None:
    require_bindings()


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A file on a hypervisor of each process's own."""
    return written(tmp_path, "test:///default")


@pytest.fixture
def shared(tmp_path: Path, hypervisor: Hypervisor) -> Iterator[tuple[Path, Connection]]:
    """A file on a simulated hypervisor that lives as long as the connection."""
    with Connection(hypervisor.simulated_uri) as connection:
        yield written(tmp_path, hypervisor.simulated_uri), connection


def written(directory: Path, uri: str, **clusters: object) -> Path:
    key = directory / "key.pub"
    key.write_text("ssh-ed25519 AAAA somebody\n")
    path = directory / "cluster.yaml"
    platform = {
        "ports": {"dagster": 1, "mlflow": 2, "gateway": 3},
        "machines": {"uri": uri, "pool_root": "/pools", "ssh_public_key": str(key)},
    }
    wanted = clusters or {"hpc": hpc(), "cloud": cloud()}
    path.write_text(yaml.safe_dump({"clusters": wanted, "platform": platform}), "utf-8")
    return path


def process(cluster: Path, *arguments: str) -> "subprocess.Popen[str]":
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AI_HOW")}
    return subprocess.Popen(
        [sys.executable, "-m", "cloud_assets.cli.main", *arguments],
        cwd=cluster.parent,
        env={**environment, "PYTHONPATH": str(REPOSITORY), "AI_HOW_CLUSTER": str(cluster)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def run(cluster: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    with process(cluster, *arguments) as started:
        printed, told = started.communicate(timeout=100)
    return started.returncode, printed, told


def test_a_plan_says_what_is_to_be_made_and_ends_with_3(alone: Path) -> None:
    code, printed, _ = run(alone, "plan", "clusters")
    assert code == 3
    assert "hpc:\n    + create network hpc-network: there is none" in printed
    assert printed.endswith("10 to create\n")


def test_a_plan_is_written_to_a_file_as_json_or_markdown(alone: Path) -> None:
    target = alone.parent / "plan"
    assert run(alone, "plan", "clusters", "-f", "json", "-o", str(target))[:2] == (3, "")
    found = json.loads(target.read_text())
    assert (len(found["changes"]), found["counts"]) == (10, {"create": 10})
    assert run(alone, "plan", "clusters", str(alone), "-f", "markdown", "-o", str(target))[0] == 3
    assert "| + | machine `hpc-controller` |" in target.read_text()


def test_a_file_without_clusters_needs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(
        "platform: {machines: {uri: 'test:///default', ssh_public_key: cluster.yaml}}\n"
    )
    assert run(path, "plan", "clusters") == (0, "nothing to do: all is as the file says\n", "")
    code, printed, told = run(path, "cloud", "start")
    assert (code, printed) == (2, "")
    assert "the file has no cloud cluster" in told


def test_a_plan_needs_no_key_and_making_does(alone: Path) -> None:
    (alone.parent / "key.pub").unlink()
    code, printed, told = run(alone, "plan", "clusters")
    assert (code, printed.endswith("10 to create\n")) == (3, True)
    assert f"there is no public key {alone.parent / 'key.pub'} yet" in told
    code, printed, told = run(alone, "cloud", "start")
    assert (code, printed) == (1, "")
    assert "read the public key of its machines' user" in told
    assert "ssh-keygen" in told


def test_a_wrong_file_is_told_by_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, "test:///default", hpc=hpc(name="a b"))
    code, printed, told = run(path, "plan", "clusters")
    assert (code, printed) == (2, "")
    assert "clusters.hpc.name" in told


def test_a_machine_that_is_not_there_or_not_ours_is_told(alone: Path) -> None:
    for verb in ("start", "stop", "restart", "status"):
        code, printed, told = run(alone, "vm", verb, "nobody")
        assert (code, printed) == (1, "")
        assert "there is no such machine" in told
        code, _, told = run(alone, "vm", verb, "test")
        assert code == 1
        assert "it is not the platform's" in told


def test_no_machine_of_ours_is_an_empty_list(alone: Path) -> None:
    assert run(alone, "vm", "status", "--json") == (0, "[]\n", "")


def test_a_cluster_is_started_without_a_platform_and_says_so(alone: Path) -> None:
    code, printed, told = run(alone, "cloud", "start", "--json")
    assert code == 0, told
    assert "no run keeps a record" in told
    assert "Kubernetes: skipped" in told
    rows = {each["machine"]: each for each in json.loads(printed)}
    assert {name: each["state"] for name, each in rows.items()} == {
        "cloud-control-plane": "running", "cloud-cpu-worker-01": "running",
        "cloud-gpu-worker-01": "off",
    }  # fmt: skip
    assert rows["cloud-gpu-worker-01"]["auto_start"] is False


def test_destroying_asks_first_and_does_nothing_without_a_yes(alone: Path) -> None:
    code, printed, told = run(alone, "hpc", "destroy")
    assert (code, printed.strip()) == (1, "")
    assert "destroy hpc-controller" in told


@pytest.mark.hypervisor
def test_the_life_of_two_clusters(shared: tuple[Path, Connection]) -> None:
    file, connection = shared
    for kind in ("cloud", "hpc"):
        assert run(file, kind, "start")[0] == 0
    assert run(file, "plan", "clusters")[0] == 0
    code, printed, _ = run(file, "vm", "status", "--json")
    assert (code, {each["machine"] for each in json.loads(printed)}) == (0, ALL)
    code, _, told = run(file, "vm", "start", "cloud-gpu-worker-01")
    assert code == 1
    assert "GPU 0000:01:00.0 is currently allocated to `hpc-compute-02` of cluster `hpc`" in told
    assert "`ai-how gpu switch 0000:01:00.0 --to cloud-gpu-worker-01` hands it over" in told
    assert "`ai-how vm stop hpc-compute-02` frees it" in told
    assert run(file, "vm", "stop", "hpc-compute-02")[:2] == (0, "hpc-compute-02: stopped\n")
    assert run(file, "vm", "start", "cloud-gpu-worker-01")[0] == 0
    assert run(file, "plan", "clusters")[0] == 3
    assert run(file, "vm", "restart", "cloud-gpu-worker-01")[0] == 0
    assert run(file, "cloud", "stop")[0] == 0
    active = {each.name for each in observe(connection).domains if each.is_active}
    assert active == {"test", "hpc-controller", "hpc-compute-01"}
    for kind in ("cloud", "hpc"):
        assert run(file, kind, "destroy", "--force")[0] == 0
    after = observe(connection)
    assert [each.name for each in after.domains] == ["test"]
    assert [each.identity.name for each in after.networks] == ["default"]
    assert [each.identity.name for each in after.pools] == ["default-pool"]


def _killed(started: "subprocess.Popen[str]", *, after_lines: int) -> None:
    """By SIGKILL once it has told of so many phases; what it would say next is never read."""
    with started:
        assert started.stderr is not None
        for _ in range(after_lines):
            started.stderr.readline()
        started.kill()


@pytest.mark.hypervisor
def test_killed_at_any_moment_it_converges_and_leaves_nothing_over(
    shared: tuple[Path, Connection],
) -> None:
    file, connection = shared
    chance = random.Random(20)
    for _ in range(KILLS):
        _killed(process(file, "hpc", "start"), after_lines=chance.randint(6, 22))
        if chance.random() < 0.4:
            _killed(process(file, "hpc", "destroy", "--force"), after_lines=chance.randint(0, 5))
        assert run(file, "hpc", "start")[0] == 0
        assert run(file, "plan", "clusters", "--prune", "-f", "json")[1].count("hpc-") == 0
        found = observe(connection)
        pool = found.pool("hpc-pool")
        assert pool is not None
        assert {each.name for each in found.domains} == {"test", *(n for n in ALL if "hpc" in n)}
        assert len(pool.volumes) == 6
        assert run(file, "hpc", "destroy", "--force")[0] == 0
