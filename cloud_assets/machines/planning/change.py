"""A plan and its changes, as frozen values; how they come about is `plan`'s business."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cloud_assets.machines.desired import Cluster, Machine
from cloud_assets.machines.differences import FieldDifference
from cloud_assets.machines.domain_xml import Document, Kind
from resources.libvirt import Identity
from resources.libvirt.seed import Seed

What = Literal["network", "pool", "machine", "volume"]
Action = Literal["nothing", "create", "update", "start", "restart", "replace", "remove"]

#: Why a thing differs: our mark tells which of the two it is.
BY_FILE, BY_HAND = "the file has changed since", "somebody changed it by hand"


@dataclass(frozen=True)
class Change:
    """One change of one thing of one cluster.

    `withheld` says why it is not done by itself; `refused` where that is no choice of ours, as
    with a name that is somebody else's.
    """

    what: What
    cluster: str
    name: str
    action: Action
    why: str
    differences: tuple[FieldDifference, ...] = ()
    withheld: str = ""
    refused: bool = False
    #: Whether a machine that is made or changed is to run afterwards.
    starts: bool = False

    @property
    def applies(self) -> bool:
        return self.action != "nothing" and not self.withheld

    def __str__(self) -> str:
        places = f" ({'; '.join(map(str, self.differences))})" if self.differences else ""
        return f"{self.action} {self.what} {self.name}: {self.why}{places}"


@dataclass(frozen=True)
class Options:
    """What a person allows: the loss of what machines have written, and removing those left."""

    allow_data_loss: bool = False
    prune: bool = False


@dataclass(frozen=True)
class Rendering:
    """What the documents need of the host: its verdict on KVM, its CPUs, who may log in.

    `kinds` are those of machines that differ from `kind`, as each keeps the one it was made with.
    `ssh_key` "" is one that nobody has yet: then `seeds` are the digests of what machines were told
    at their first boot, which are taken for right. Nothing is to be made from such a plan.
    """

    kind: Kind
    host_cpus: int
    user: str
    ssh_key: str
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    seeds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Blueprint:
    """A machine with its documents: the domain, and what it is told at its first boot."""

    machine: Machine
    document: Document
    seed: Seed
    seed_digest: str

    @property
    def identity(self) -> Identity:
        return self.document.identity


@dataclass(frozen=True)
class Plan:
    """All changes in the order in which they are made, and what they are made from."""

    changes: tuple[Change, ...]
    blueprints: Mapping[str, Blueprint]
    clusters: tuple[Cluster, ...]

    @property
    def pending(self) -> tuple[Change, ...]:
        """Everything that is not as it should be, withheld or not."""
        return tuple(each for each in self.changes if each.action != "nothing")

    def of(self, names: Sequence[str]) -> "Plan":
        """The same with those changes alone that are of these things."""
        kept = tuple(each for each in self.changes if each.name in names)
        return Plan(kept, self.blueprints, self.clusters)
