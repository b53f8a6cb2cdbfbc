"""Who has a device that a machine wants, and what frees it: the same words everywhere. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from resources.libvirt import Domain, PciDevice


@dataclass(frozen=True)
class Held:
    """`owner` has `device`; "" where libvirt does not say who. `cluster` "" is none of ours."""

    device: str
    owner: str
    cluster: str = ""
    is_gpu: bool = True

    @property
    def why(self) -> str:
        """Without a full stop."""
        what = "GPU" if self.is_gpu else "PCI device"
        whose = f"`{self.owner}`" if self.owner else "another domain"
        whose += f" of cluster `{self.cluster}`" if self.cluster else ""
        return f"{what} {self.device} is currently allocated to {whose}"

    @property
    def freed_by(self) -> str:
        """The command that stops who has it."""
        if not self.owner:
            return "ai-how gpu list"
        return f"{'ai-how vm stop' if self.cluster else 'virsh shutdown'} {self.owner}"

    def handed_to(self, machine: str) -> str:
        """The command that gives it to the machine, as far as a command can."""
        if not self.cluster:
            return self.freed_by
        return f"ai-how gpu switch {self.device} --to {machine}"

    def hint(self, machine: str) -> str:
        """Both commands for a person who wants to start the machine."""
        freed = f"`{self.freed_by}` {'frees it' if self.owner else 'says who'}"
        if not (self.cluster and self.is_gpu):
            return freed
        return f"`{self.handed_to(machine)}` hands it over, {freed}"


def held(device: str, owner: Domain, devices: Iterable[PciDevice] = ()) -> Held:
    """Of a domain that runs with the device; what the host does not list is taken for a GPU."""
    known = next((each for each in devices if each.address == device), None)
    cluster = (owner.live.mark or {}).get("cluster", "")
    return Held(device, owner.name, cluster, known is None or known.is_display)
