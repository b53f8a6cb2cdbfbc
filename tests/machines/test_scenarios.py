"""What people do with two clusters on one host, from beginning to end, in many processes.

On libvirt's test driver, which hands no GPU over: that is told apart where there is an IOMMU, in
tests/machines/gpus/test_on_vfio.py and tests/e2e/test_switch.py. That a checkpoint goes from
training through to serving is tests/e2e/test_life_of_a_checkpoint.py.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import pytest

from resources.libvirt import Connection, Observation, observe
from tests.hypervisor.cell import Hypervisor
from tests.hypervisor.documents import Guest
from tests.machines import command
from tests.machines.command import Command, Ran
from tests.machines.conftest import cloud, hpc

pytestmark = pytest.mark.hypervisor

HPC = {"hpc-controller", "hpc-compute-01", "hpc-compute-02"}
CLOUD = {"cloud-control-plane", "cloud-cpu-worker-01"}
#: Made and left off: the GPU that it wants is with an HPC node.
BY_HAND = "cloud-gpu-worker-01"


@dataclass(frozen=True)
class Host:
    """A host with a file of both clusters in force, and what libvirt has on it."""

    run: Command
    connection: Connection

    def ok(self, *arguments: str) -> Ran:
        ran = self.run(*arguments)
        assert ran.code == 0, ran.told
        return ran

    def observed(self) -> Observation:
        return observe(self.connection)

    def names(self) -> set[str]:
        """Of the domains beside that which the driver comes with."""
        return {each.name for each in self.observed().domains} - {"test"}

    def running(self) -> set[str]:
        return {each.name for each in self.observed().domains if each.is_active} - {"test"}

    def is_clean(self) -> bool:
        """Whether there is nothing but what the driver comes with."""
        found = self.observed()
        networks = [each.identity.name for each in found.networks]
        pools = [each.identity.name for each in found.pools]
        return (self.names(), networks, pools) == (set(), ["default"], ["default-pool"])


@pytest.fixture
def host(hypervisor: Hypervisor, tmp_path: Path) -> Iterator[Host]:
    file = tmp_path / "cluster.yaml"
    (tmp_path / "key.pub").write_text("ssh-ed25519 AAAA somebody\n")
    command.write(
        file, {"hpc": hpc(), "cloud": cloud()}, uri=hypervisor.simulated_uri, pool_root="/pools",
        ssh_public_key=str(tmp_path / "key.pub"),
    )  # fmt: skip
    with Connection(hypervisor.simulated_uri) as connection:
        yield Host(Command(file), connection)


def test_both_clusters_run_side_by_side_on_networks_of_their_own(host: Host) -> None:
    for kind in ("hpc", "cloud"):
        host.ok(kind, "start")
    assert host.running() == HPC | CLOUD
    found = {each.identity.name: each for each in host.observed().networks}
    mine, theirs = found["hpc-network"], found["cloud-network"]
    assert mine.bridge != theirs.bridge
    assert not ip_network(mine.subnet).overlaps(ip_network(theirs.subnet))
    cards = {
        each.name: [card.network for card in each.live.interfaces]
        for each in host.observed().domains
        if each.name != "test"
    }
    expected = {"hpc-network": HPC, "cloud-network": CLOUD | {BY_HAND}}
    assert cards == {name: [network] for network, names in expected.items() for name in names}


@pytest.mark.parametrize(
    ("kind", "expected", "made"), [("hpc", HPC, HPC), ("cloud", CLOUD, CLOUD | {BY_HAND})]
)
def test_one_cluster_alone_leaves_the_other_unmade(
    kind: str, expected: set[str], made: set[str], host: Host
) -> None:
    host.ok(kind, "start")
    assert (host.running(), host.names()) == (expected, made)
    other = {"hpc": "cloud", "cloud": "hpc"}[kind]
    rows = host.ok(other, "status", "--json").rows
    assert {each["state"] for each in rows.values()} == {"absent"}


def test_a_cold_start_begins_with_nothing_and_ends_as_the_file_says(host: Host) -> None:
    assert host.is_clean()
    assert host.run("plan", "clusters").code == 3
    for kind in ("cloud", "hpc"):
        host.ok(kind, "start")
    assert host.ok("plan", "clusters").printed == "nothing to do: all is as the file says\n"


def test_a_start_of_what_runs_changes_nothing(host: Host) -> None:
    host.ok("hpc", "start")
    before = host.observed()
    host.ok("hpc", "start")
    assert host.observed() == before


def test_a_warm_restart_has_the_same_machines_and_disks(host: Host) -> None:
    host.ok("hpc", "start")
    before = {each.name: each.uuid for each in host.observed().domains}
    disks = host.observed().pool("hpc-pool")
    host.ok("hpc", "stop")
    assert host.running() == set()
    host.ok("hpc", "start")
    assert host.running() == HPC
    assert {each.name: each.uuid for each in host.observed().domains} == before
    assert host.observed().pool("hpc-pool") == disks


def test_topology_tells_of_none_of_one_and_of_both(host: Host, tmp_path: Path) -> None:
    both = host.ok("topology").printed
    assert "0000:01:00.0: hpc-compute-02 or cloud-gpu-worker-01, one at a time" in both
    assert f"{BY_HAND}: 192.168.200.12" in both
    for name, clusters in (("none", {}), ("one", {"hpc": hpc()})):
        command.write(tmp_path / name, clusters)
        found = host.ok("topology", "-c", str(tmp_path / name), "--json")
        kinds = [each["kind"] for each in json.loads(found.printed)["clusters"]]
        assert kinds == list(clusters)


def test_two_machines_of_a_cluster_that_want_one_gpu_are_told_before_anything_is_made(
    host: Host, tmp_path: Path
) -> None:
    given = hpc()
    workers = given["compute_nodes"]
    assert isinstance(workers, list)
    command.write(tmp_path / "twice", {"hpc": {**given, "compute_nodes": [workers[1], workers[1]]}})
    ran = host.run("validate", str(tmp_path / "twice"))
    assert ran.code == 2
    assert "0000:01:00.0" in ran.told
    assert host.is_clean()


def test_a_machine_that_was_stopped_is_told_as_that_and_the_others_run(host: Host) -> None:
    host.ok("hpc", "start")
    host.ok("vm", "stop", "hpc-compute-01")
    rows = host.ok("hpc", "status", "--json").rows
    assert {name: each["state"] for name, each in rows.items()} == {
        "hpc-controller": "running", "hpc-compute-01": "off", "hpc-compute-02": "running",
    }  # fmt: skip
    planned = host.run("plan", "clusters", "-f", "json")
    changes = [each for each in json.loads(planned.printed)["changes"] if each["cluster"] == "hpc"]
    assert [(each["name"], each["action"]) for each in changes] == [("hpc-compute-01", "start")]


def test_a_machine_that_is_started_by_hand_coexists_and_stays_off(host: Host) -> None:
    for kind in ("hpc", "cloud", "cloud"):
        host.ok(kind, "start")
    assert BY_HAND in host.names() - host.running()
    rows = host.ok("cloud", "status", "--json").rows
    assert (rows[BY_HAND]["state"], rows[BY_HAND]["auto_start"]) == ("off", False)
    assert host.run("plan", "clusters").code == 0


def test_a_forced_destruction_takes_what_runs_and_leaves_the_other_cluster(host: Host) -> None:
    for kind in ("hpc", "cloud"):
        host.ok(kind, "start")
    assert host.run("hpc", "destroy").code != 0
    assert host.running() == HPC | CLOUD
    host.ok("hpc", "destroy", "--force")
    assert host.names() == CLOUD | {BY_HAND}
    assert host.ok("hpc", "destroy", "--force").printed == "hpc: not there\n"
    host.ok("cloud", "destroy", "--force")
    assert host.is_clean()


def test_status_answers_while_a_cluster_is_being_made(host: Host) -> None:
    seen = []
    with host.run.start("hpc", "start") as started:
        while started.poll() is None:
            seen.append(host.ok("hpc", "status", "--json").rows)
        started.communicate()
    assert started.returncode == 0
    assert seen
    assert all(set(each) == HPC for each in seen)
    states = {row["state"] for rows in seen for row in rows.values()}
    assert states <= {"absent", "off", "running"}


def test_what_failed_is_told_and_done_once_its_cause_is_gone(host: Host) -> None:
    theirs = Guest("hpc-compute-01", marked=False, network=None)
    found = host.connection.handle().defineXML(theirs.xml())
    failed = host.run("hpc", "start")
    assert failed.code == 1
    assert "another domain has that name and is not ours" in failed.told
    assert "hint: rename the cluster" in failed.told
    assert host.names() == {"hpc-compute-01"}
    found.undefine()
    host.ok("hpc", "start")
    assert host.running() == HPC
