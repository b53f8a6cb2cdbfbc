"""A cluster by the command alone on QEMU: logged in on, kept, brought back, made anew."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from resources.libvirt import Connection, observe
from tests.hypervisor import debian_image
from tests.hypervisor.cell import Hypervisor
from tests.machines.conftest import SMALL, hpc
from tests.testbed.build import cache

pytestmark = pytest.mark.hypervisor

REPOSITORY = Path(__file__).parents[3]
LEADER, WORKER = "hpc-controller", "hpc-compute-01"


class Commands:
    """`ai-how` where the guests can be reached."""

    def __init__(self, hypervisor: Hypervisor, directory: Path) -> None:
        self.home = directory / "home"
        self._hypervisor = hypervisor
        self._file = directory / "cluster.yaml"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / "key")],
            check=True,
        )
        image = cache.have(debian_image.debian_image()) / debian_image.DISK
        worker = {**SMALL, "ip": "192.168.100.11", "auto_start": False}
        given = hpc(base_image_path=str(image), compute_nodes=[worker])
        machines = {
            "uri": hypervisor.uri, "pool_root": str(hypervisor.home / "pools"),
            "acceleration": "tcg", "ssh_public_key": "key.pub", "boot_timeout_seconds": 900,
        }  # fmt: skip
        ports = {"dagster": 1, "mlflow": 2, "gateway": 3}
        platform = {"home": "home", "ports": ports, "machines": machines}
        text = yaml.safe_dump({"clusters": {"hpc": given}, "platform": platform})
        self._file.write_text(text, "utf-8")

    def run(self, *words: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AI_HOW")}
        environment |= {"PYTHONPATH": str(REPOSITORY), "AI_HOW_CLUSTER": str(self._file)}
        command = [sys.executable, "-m", "cloud_assets.cli.main", *words]
        ended = subprocess.run(
            self._hypervisor.inside(command), env=environment, cwd=self._file.parent,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=1200,
        )  # fmt: skip
        return ended.returncode, ended.stdout, ended.stderr

    def done(self, *words: str) -> str:
        code, printed, told = self.run(*words)
        assert code == 0, told
        return printed


@pytest.fixture
def commands(hypervisor: Hypervisor, tmp_path: Path) -> Iterator[Commands]:
    found = Commands(hypervisor, tmp_path)
    yield found
    found.run("hpc", "destroy", "--force")
    with Connection(hypervisor.uri) as connection:
        assert observe(connection).domains == ()


def test_a_machine_is_logged_in_on_kept_and_brought_back(commands: Commands) -> None:
    commands.done("hpc", "start")
    assert commands.run("ssh", LEADER, "--", "hostname") == (0, "controller\n", "")
    assert commands.run("ssh", LEADER, "--", "exit", "7") == (7, "", "")
    assert "it is off" in commands.run("ssh", WORKER)[2]
    read = yaml.safe_load(commands.done("inventory", "generate-hpc", "-f", "yaml"))
    assert read["all"]["hosts"]["controller"]["ansible_host"] == "192.168.100.10"
    commands.done("ssh", LEADER, "--", "echo before > kept; sync")
    commands.done("snapshot", "create", "--cluster", "hpc", "here")
    commands.done("ssh", LEADER, "--", "echo after > kept; sync")
    assert "nothing to do" in commands.done("plan", "clusters")
    back = json.loads(commands.done("snapshot", "revert", "--cluster", "hpc", "--force", "--json"))
    states = {each["machine"]: each["state"] for each in back}
    assert states == {LEADER: "running", WORKER: "off"}
    assert commands.done("ssh", LEADER, "--", "cat kept") == "before\n"
    assert "nothing to do" in commands.done("plan", "clusters")


def test_a_machine_that_was_made_anew_is_logged_in_on_without_a_word(commands: Commands) -> None:
    for _ in range(2):
        commands.done("hpc", "start")
        assert commands.run("ssh", LEADER, "--", "hostname") == (0, "controller\n", "")
        commands.done("hpc", "destroy", "--force")
    known = (commands.home / "machines" / "known_hosts").read_text().splitlines()
    aliases = {line.split()[0] for line in known}
    # Two disks, each with its keys, of one machine.
    assert len(aliases) == 2
    assert len({each.partition(".")[0] for each in aliases}) == 1
