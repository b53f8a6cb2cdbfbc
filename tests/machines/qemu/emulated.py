"""A cluster on QEMU's driver: machines small enough to run at once, and taken down after a test."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cloud_assets.machines.applying import teardown
from cloud_assets.machines.applying.progress import Step
from cloud_assets.machines.converge import Patience, Result, converge
from cloud_assets.machines.desired import Cluster, Desired, Machine
from resources.errors import AiHowError
from resources.libvirt import Connection, Domain, Observation, observe
from tests.hypervisor.cell import Hypervisor
from tests.machines.conftest import RENDERING, SMALL, Lab, hpc, wanted

Changed = Callable[[Machine], Machine]

MEBIBYTE = 2**20
LEADER, WORKER = "hpc-controller", "hpc-compute-01"


@dataclass
class Emulated(Lab):
    """A lab whose machines are real; `pools` is where their disks are."""

    hypervisor: Hypervisor | None = None
    pools: Path = Path()
    logs: Path = Path()

    def written(self, image: Path, **changes: object) -> dict[str, object]:
        """A cluster as a file has it: a leader, and a worker that is made and left off."""
        worker = {**SMALL, "ip": "192.168.100.11", "auto_start": False}
        emulation = {"acceleration": {"enable_kvm": False}}
        given = {"compute_nodes": [worker], "hardware": emulation, **changes}
        return hpc(base_image_path=str(image), **given)

    def cluster(self, image: Path, **changes: object) -> Desired:
        """The same with machines of 128 MiB."""
        [found] = wanted(hpc=self.written(image, **changes)).clusters
        placed = replace(found, pool=replace(found.pool, path=self.pools / "hpc"))
        return sized(Desired((placed,)), 128 * MEBIBYTE)

    def booted(self, desired: Desired, *, seconds: float) -> tuple[Result, ...]:
        """The same as `apply`, and each that starts is waited for."""
        return converge(
            self.connection, self.plan(desired), patience=Patience(seconds), told=self.note
        )

    def note(self, step: Step) -> None:
        self.steps.append((step.name, step.phase))

    def domain(self, name: str) -> Domain:
        found = self.observed().domain(name)
        assert found is not None, name
        return found

    @property
    def home(self) -> Path:
        """What the hypervisor can write to; gone with it."""
        return self.pools.parent

    def take_down(self) -> None:
        """All that the cluster has."""
        [only] = self.cluster(Path("/none.qcow2")).clusters
        teardown.destroy(self.connection, only, logs=self.logs)

    def observed(self) -> Observation:
        return observe(self.connection)

    def inside(self, *command: str) -> str:
        """What a command says that sees files as the hypervisor does."""
        assert self.hypervisor is not None
        # Without its processes its /proc, by which mounts are found, is of no use.
        spaces = ("--target", str(self.hypervisor.process), "--mount", "--pid")
        entered = ["nsenter", *spaces, "--", *command]
        ran = subprocess.run(entered, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def in_network(self, *command: str) -> None:
        assert self.hypervisor is not None
        subprocess.run(self.hypervisor.inside(command), check=True)

    def files(self) -> set[str]:
        """What the pool's directory has."""
        return set(self.inside("ls", "-A", str(self.pools / "hpc")).split())


@contextmanager
def emulated(hypervisor: Hypervisor, logs: Path) -> Iterator[Emulated]:
    """Within, a lab; what is left of its cluster is taken down."""
    with Connection(hypervisor.uri) as connection:
        lab = Emulated(
            connection, rendering=replace(RENDERING, host_cpus=2),
            hypervisor=hypervisor, pools=hypervisor.home / "pools", logs=logs,
        )  # fmt: skip
        try:
            yield lab
        finally:
            lab.take_down()


def sized(desired: Desired, memory: int) -> Desired:
    """The same with so much memory, less than a file can ask for."""
    return with_machines(
        desired, lambda each: replace(each, memory=replace(each.memory, size_bytes=memory))
    )


def alone(desired: Desired) -> Desired:
    """The same without workers."""
    [only] = desired.clusters
    return Desired((replace(only, machines=only.machines[:1]),))


def with_machines(desired: Desired, changed: Changed) -> Desired:
    return Desired(tuple(_with(each, changed) for each in desired.clusters))


def errors(results: Sequence[Result]) -> list[AiHowError]:
    return [each.error for each in results if each.error is not None]


def empty_image(path: Path) -> Path:
    """A disk from which nothing boots."""
    command = ["qemu-img", "create", "-q", "-f", "qcow2", str(path), "1G"]
    subprocess.run(command, check=True, timeout=60)
    return path


def _with(cluster: Cluster, changed: Changed) -> Cluster:
    return replace(cluster, machines=tuple(map(changed, cluster.machines)))
