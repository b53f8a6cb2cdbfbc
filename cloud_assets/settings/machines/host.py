"""The `machines:` section of `platform:`: the host's libvirt, and how machines are reached."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self

from pydantic import Field

from cloud_assets.settings.section import Seconds, Section


class Machines(Section):
    """The virtual machines of `clusters:` on this host."""

    uri: str = Field(
        default="qemu:///system", pattern=r"^[a-z+]+:", description="libvirt, by its URI"
    )
    pool_root: Path = Field(
        default=Path("/var/lib/libvirt/images"),
        description="each cluster's disks are in a directory of its name below this one",
    )
    acceleration: Literal["auto", "kvm", "tcg"] = Field(
        default="auto",
        description="`auto` takes KVM where the host has it and emulates the processor elsewhere; "
        "a cluster with `enable_kvm: false` is emulated in any case",
    )
    boot_timeout_seconds: Seconds = Field(
        default=300, description="how long a machine may take until it answers"
    )
    shutdown_timeout_seconds: Seconds = Field(
        default=30, description="how long a machine may take to shut down before it is cut off"
    )
    drain_timeout_seconds: Seconds = Field(
        default=600,
        description="how long the work on a machine may take to end before its GPU goes elsewhere",
    )
    gpu_hold_seconds: Seconds = Field(
        default=900,
        description="how long a cluster keeps a GPU at least, where `gpu_demand` hands it over",
    )
    gpu_patience_seconds: Seconds = Field(
        default=3600,
        description="how long work of one cluster waits for a GPU that the other works with",
    )
    ssh_user: str = Field(
        default="admin",
        pattern=r"^[a-z_][a-z0-9_-]{0,31}$",
        description="the user that may log in, without a password",
    )
    ssh_public_key: Path = Field(
        default=Path("~/.ssh/id_ed25519.pub"), description="the key that this user logs in with"
    )

    def resolved(self, absolute: Callable[[Path], Path]) -> Self:
        """The same with every path absolute."""
        return self.model_copy(
            update={
                "pool_root": absolute(self.pool_root),
                "ssh_public_key": absolute(self.ssh_public_key),
            }
        )
