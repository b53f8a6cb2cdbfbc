"""`ai-how` killed at any point while it makes machines on QEMU, fifty times over."""

import os
import random
import select
import subprocess
import sys
from pathlib import Path

import pytest

from cloud_assets.machines.converge import Patience, converge
from cloud_assets.machines.host import Host
from cloud_assets.settings_file import load_cluster_file
from resources.libvirt import observe
from tests.hypervisor.cell import Hypervisor
from tests.machines import command
from tests.machines.command import Command
from tests.machines.conftest import SMALL
from tests.machines.qemu.emulated import LEADER, WORKER, Emulated, errors

pytestmark = pytest.mark.hypervisor

KILLS, SEED = 50, 20261
#: What a start and a destruction tell of two machines, about.
_LINES = {"start": 16, "destroy": 4}
_SILENCE_SECONDS = 2.0
_PAUSES = (0.0, 0.0, 0.02, 0.1, 0.3)


def test_killed_at_any_point_it_converges_and_leaves_nothing_over(
    qemu: Emulated, hypervisor: Hypervisor, image: Path, tmp_path: Path
) -> None:
    file = tmp_path / "cluster.yaml"
    worker = {**SMALL, "ip": "192.168.100.11"}
    command.write(
        file, {"hpc": qemu.written(image, compute_nodes=[worker])}, uri=hypervisor.uri,
        pool_root=str(qemu.pools), ssh_public_key=str(command.public_key(tmp_path / "key")),
    )  # fmt: skip
    chance = random.Random(SEED)
    for number in range(KILLS):
        verb = "destroy" if chance.random() < 0.3 else "start"
        lines, pause = chance.randrange(_LINES[verb]), chance.choice(_PAUSES)
        sys.stdout.write(f"kill {number}: {verb} after {lines} lines and {pause} s\n")
        words = ["hpc", verb, *(["--force"] if verb == "destroy" else [])]
        _killed(Command(file).start(*words), lines, pause)
    read = load_cluster_file(file)
    host = Host.of(read.platform.machines, read.clusters)
    assert (
        errors(converge(qemu.connection, host.plan(qemu.connection), patience=Patience(None))) == []
    )
    assert host.plan(qemu.connection).pending == ()
    found = observe(qemu.connection)
    assert qemu.active() == qemu.names() == {LEADER, WORKER}
    assert {each.identity.name for each in found.networks} == {"hpc-network"}
    assert {each.identity.name for each in found.pools} == {"hpc-pool"}
    endings = (".qcow2", "-seed.iso", ".console.log")
    assert qemu.files() == {f"{name}{end}" for name in (LEADER, WORKER) for end in endings}


def _killed(started: "subprocess.Popen[str]", lines: int, pause: float) -> None:
    """By SIGKILL a moment after so many lines, or once it waits in silence for what never boots."""
    with started:
        assert started.stderr is not None
        told, seen = started.stderr.fileno(), 0
        while seen < lines and select.select([told], [], [], _SILENCE_SECONDS)[0]:
            piece = os.read(told, 4096)
            if not piece:
                break
            seen += piece.count(b"\n")
        try:
            started.wait(timeout=pause)
        except subprocess.TimeoutExpired:
            started.kill()
