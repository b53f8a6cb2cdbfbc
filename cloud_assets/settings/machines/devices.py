"""What of the host a virtual machine is given: PCI devices, and directories by virtiofs."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cloud_assets.settings.machines.scalars import Absolute, Flag, PciAddress, PciIdentity, Whole
from cloud_assets.settings.section import Section


class PciDevice(Section):
    """One function of a PCI device; all functions of its IOMMU group go to one machine together."""

    pci_address: PciAddress = Field(description="as in `0000:01:00.0`, in quotes")
    device_type: Literal["gpu", "audio", "network", "storage", "other"] = Field(
        description="what it is; a worker with a `gpu` is a GPU worker"
    )
    vendor_id: PciIdentity | None = Field(
        default=None, description="four hexadecimal digits in quotes, as `lspci -n` shows them"
    )
    device_id: PciIdentity | None = Field(
        default=None, description="four hexadecimal digits in quotes, as `lspci -n` shows them"
    )
    iommu_group: Annotated[Whole, Field(ge=0)] | None = Field(
        default=None,
        description="the group on the host; without one the functions of a slot are one group",
    )

    @property
    def slot(self) -> str:
        """The address without the function."""
        return self.pci_address.rpartition(".")[0]


class Passthrough(Section):
    """The PCI devices of the host that the machine has for itself while it runs."""

    enabled: Flag = Field(default=False, description="whether the devices are passed through")
    devices: tuple[PciDevice, ...] = ()

    @model_validator(mode="after")
    def _names_what_it_passes(self) -> Self:
        if self.enabled and not self.devices:
            raise ValueError("is enabled without a device; name its devices, or set enabled: false")
        return self

    @property
    def passed(self) -> tuple[PciDevice, ...]:
        """The devices that are passed through, GPUs first, whose ROM must be found first."""
        passed = self.devices if self.enabled else ()
        return tuple(sorted(passed, key=lambda device: device.device_type != "gpu"))


class Mount(Section):
    """A directory of the host inside the machine, by virtiofs."""

    tag: str = Field(
        pattern=r"^[a-zA-Z0-9_-]{1,36}$", description="its name on the way into the machine"
    )
    host_path: Absolute = Field(description="the directory on the host")
    mount_point: Absolute = Field(description="where it is in the machine")
    owner: str = Field(default="admin", description="whose the mount point is")
    group: str = Field(default="admin", description="whose group the mount point has")
    mode: str = Field(
        default="0755", pattern=r"^0[0-7]{3}$", description="the mount point's mode, in quotes"
    )
    options: str = Field(default="rw,relatime", description="options of the mount")
