"""How long Debian machines take from nothing until SSH answers, without KVM.

    python -m benchmarks.provisioning [--machines 1 3] [--json]

By `ai-how hpc start` on a libvirtd of its own, with the tests' image (2 CPUs, 1 GiB each); seconds
since the command began, by phase and machine.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from resources.errors import PermanentError
from tests.hypervisor import cell, debian_image
from tests.hypervisor.cell import Hypervisor
from tests.machines import command
from tests.machines.command import Command
from tests.machines.conftest import SMALL, hpc
from tests.testbed.build import cache

PHASES = ("define", "start", "lease", "agent", "ssh")
_MACHINE = {**SMALL, "cpu_cores": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    image = cache.have(debian_image.debian_image()) / debian_image.DISK
    with cell.running() as hypervisor:
        measured = [_provisioned(hypervisor, image, count) for count in asked.machines]
    if asked.json:
        print(json.dumps(measured, indent=2))
        return
    for each in measured:
        _print(each)


def _provisioned(hypervisor: Hypervisor, image: Path, count: int) -> dict[str, Any]:
    """The first of them leads; a cluster of one has a worker that is made and left off."""
    with tempfile.TemporaryDirectory(prefix="provisioning-", dir=hypervisor.home) as directory:
        file = Path(directory) / "cluster.yaml"
        worker = {**_MACHINE, "count": max(1, count - 1), "ip": "DHCP", "auto_start": count > 1}
        clusters: dict[str, object] = {
            "hpc": hpc(
                base_image_path=str(image), compute_nodes=worker,
                controller={**_MACHINE, "ip_address": "192.168.100.10"},
                hardware={"acceleration": {"enable_kvm": False}},
            )
        }  # fmt: skip
        command.write(
            file, clusters, uri=hypervisor.uri, pool_root=str(Path(directory) / "pools"),
            ssh_public_key=str(command.public_key(Path(directory) / "key")),
            boot_timeout_seconds=1800,
        )  # fmt: skip
        run = Command(file, hypervisor.inside([]))
        began = time.monotonic()
        machines = _timed(run)
        took = time.monotonic() - began
        again = _seconds(run, "hpc", "start")
        destroyed = _seconds(run, "hpc", "destroy", "--force")
    return {
        "machines": count, "seconds": round(took, 1), "again_seconds": again,
        "destroy_seconds": destroyed, "phases": machines,
    }  # fmt: skip


def _timed(run: Command) -> dict[str, dict[str, float]]:
    """When each machine came to each phase for the first time."""
    found: dict[str, dict[str, float]] = {}
    said = []
    began = time.monotonic()
    with run.start("hpc", "start") as started:
        assert started.stderr is not None
        for line in started.stderr:
            said.append(line)
            name, _, words = line.partition(": ")
            phase = (words.split() or [""])[0]
            if phase in PHASES:
                now = round(time.monotonic() - began, 1)
                found.setdefault(name, {}).setdefault(phase, now)
    if started.returncode != 0:
        raise PermanentError("ai-how", "start the machines", "".join(said))
    return {name: phases for name, phases in sorted(found.items()) if "start" in phases}


def _seconds(run: Command, *arguments: str) -> float:
    began = time.monotonic()
    ran = run(*arguments)
    if ran.code != 0:
        raise PermanentError("ai-how", " ".join(arguments), ran.told)
    return round(time.monotonic() - began, 1)


def _print(measured: dict[str, Any]) -> None:
    print(
        f"{measured['machines']} machines: {measured['seconds']} s; started again "
        f"{measured['again_seconds']} s; destroyed {measured['destroy_seconds']} s"
    )
    for name, phases in measured["phases"].items():
        times = "  ".join(f"{each} {phases[each]:6.1f} s" for each in PHASES if each in phases)
        print(f"  {name:16} {times}")


if __name__ == "__main__":
    main()
