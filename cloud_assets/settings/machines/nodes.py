"""The machines of a cluster: one that leads, and those that work, in the three shapes of a file."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from cloud_assets.settings.machines.devices import Mount, Passthrough
from cloud_assets.settings.machines.scalars import (
    Address,
    AddressOrDhcp,
    Cores,
    Flag,
    Gigabytes,
    Image,
    Whole,
)
from cloud_assets.settings.section import Section

#: In the location of an error these say which shape was meant; the file has no such keys.
EACH, ALIKE, BY_KIND = "(each)", "(alike)", "(by kind)"


class Size(Section):
    """What every machine has."""

    cpu_cores: Cores = Field(description="virtual CPUs")
    memory_gb: Gigabytes = Field(description="memory, in GiB")
    disk_gb: Annotated[Whole, Field(ge=10, le=65536)] = Field(
        description="size of its disk, in GiB; takes room on the host as it fills"
    )
    base_image_path: Image | None = Field(
        default=None, description="the image below its disk; the cluster's where it names none"
    )
    virtio_fs_mounts: tuple[Mount, ...] = ()


class Leader(Size):
    """The machine that leads a cluster: Slurm's controller, or Kubernetes' control plane."""

    ip_address: Address = Field(description="its address within the cluster's subnet")
    auto_start: Flag = Field(
        default=True, description="`false` makes the machine and leaves it off"
    )


class Worker(Size):
    """A machine that the others' work runs on."""

    pcie_passthrough: Passthrough = Passthrough()

    @property
    def has_gpu(self) -> bool:
        """Whether it is a GPU worker: passthrough is enabled for at least one GPU."""
        return any(each.device_type == "gpu" for each in self.pcie_passthrough.passed)


class Node(Worker):
    """A working machine."""

    ip: AddressOrDhcp = Field(description="its address within the cluster's subnet, or `DHCP`")
    auto_start: Flag = Field(
        default=True,
        description="`false` makes the machine and leaves it off, as for one whose GPU another "
        "cluster has",
    )
    worker_type: Literal["cpu", "gpu"] | None = Field(
        default=None, description="may say again whether it has a GPU; `gpu` needs one"
    )


class NodeGroup(Worker):
    """Several machines that are alike."""

    count: Annotated[Whole, Field(ge=1, le=99)] = Field(description="how many")
    ip: Literal["DHCP"] = Field(description="`DHCP`: machines that are alike have no fixed address")
    auto_start: Flag = Field(default=True, description="`false` makes them and leaves them off")


class NodesByKind(Section):
    """Workers with and without GPUs in lists of their own."""

    cpu: tuple[Node, ...] = ()
    gpu: tuple[Node, ...] = ()


def _shape(given: object) -> str | None:
    if isinstance(given, list | tuple):
        return EACH
    if isinstance(given, NodesByKind):
        return BY_KIND
    if isinstance(given, Mapping):
        return BY_KIND if {"cpu", "gpu"} & given.keys() else ALIKE
    return ALIKE if isinstance(given, NodeGroup) else None


_SHAPES = Discriminator(
    _shape,
    custom_error_type="shape",
    custom_error_message="is neither a list of machines nor one machine with its `count`",
)
#: That a list names a machine at all is looked at by `consistency`: pydantic counts only those that
#: are right.
_Each = Annotated[tuple[Node, ...], Field(json_schema_extra={"minItems": 1}), Tag(EACH)]
_Alike = Annotated[NodeGroup, Tag(ALIKE)]
ComputeNodes = Annotated[_Each | _Alike, _SHAPES]
WorkerNodes = Annotated[_Each | _Alike | Annotated[NodesByKind, Tag(BY_KIND)], _SHAPES]
