"""The `hardware:` of a cluster: how its machines are emulated."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cloud_assets.settings.machines.scalars import Flag, Whole
from cloud_assets.settings.section import Section


class Numa(Section):
    """The NUMA nodes that a machine sees."""

    nodes: Annotated[Whole, Field(ge=1, le=8)] = Field(default=1, description="how many")
    memory_per_node: Annotated[Whole, Field(ge=1024)] | None = Field(
        default=None, description="MiB of each; by default the memory in equal parts"
    )


class CpuTopology(Section):
    """Sockets and threads that a machine sees; its cores follow from its `cpu_cores`."""

    sockets: Annotated[Whole, Field(ge=1, le=4)] = Field(description="how many sockets")
    cores: Annotated[Whole, Field(ge=1, le=64)] = Field(
        description="cores of a socket on a machine with as many CPUs as the three make; elsewhere "
        "`cpu_cores` / (sockets × threads)"
    )
    threads: Annotated[Whole, Field(ge=1, le=2)] = Field(description="threads of a core")


class Performance(Section):
    """How memory and CPUs of the host are taken."""

    enable_hugepages: Flag = Field(default=False, description="memory in huge pages")
    hugepage_size: Literal["2M", "1G"] = Field(default="2M", description="of a huge page")
    cpu_pinning: Flag = Field(
        default=False, description="whether each CPU of a machine stays on one of the host"
    )
    memory_backing: Literal["default", "hugepages", "memfd"] = Field(
        default="default", description="where a machine's memory is; `hugepages` needs them enabled"
    )

    @model_validator(mode="after")
    def _hugepages_are_there(self) -> Self:
        if self.memory_backing == "hugepages" and not self.enable_hugepages:
            raise ValueError("memory_backing: hugepages needs enable_hugepages: true")
        return self


class Acceleration(Section):
    """The processor that machines see, and whether KVM runs them."""

    enable_kvm: Flag = Field(
        default=True, description="`false` emulates the processor, which is slow and needs no KVM"
    )
    enable_nested: Flag = Field(
        default=False, description="whether a machine can run machines itself"
    )
    cpu_model: Literal["host", "host-passthrough", "host-model", "qemu64"] = Field(
        default="host-model", description="the processor; `host` is `host-passthrough`"
    )
    cpu_features: tuple[Annotated[str, Field(pattern=r"^[+-]?[a-zA-Z0-9_.-]+$")], ...] = Field(
        default=(), description="features to add, as in `+avx2`, or to take away, as in `-hle`"
    )
    numa_topology: Numa | None = None
    cpu_topology: CpuTopology | None = None
    performance: Performance = Performance()


class Hardware(Section):
    """The hardware of all machines of the cluster."""

    acceleration: Acceleration = Acceleration()
