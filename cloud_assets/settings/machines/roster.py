"""Every virtual machine that a file declares, by its name and where it stands.

Of typed clusters and of plain values alike, so that a file with mistakes is looked at, too. Names
are those of the earlier tool.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from cloud_assets.settings.machines.clusters import CloudCluster, Clusters, HpcCluster
from cloud_assets.settings.machines.nodes import Leader, Node, NodeGroup, Size

S = TypeVar("S", bound=Size)
Location = tuple[str | int, ...]
Role = Literal["controller", "compute", "control-plane", "cpu-worker", "gpu-worker"]
Kind = Literal["hpc", "cloud"]
TYPES: Mapping[Kind, type[HpcCluster] | type[CloudCluster]] = {
    "hpc": HpcCluster,
    "cloud": CloudCluster,
}
_STAND_INS: Mapping[str, object] = {
    "cpu_cores": 1,
    "memory_gb": 1,
    "disk_gb": 10,
    "ip_address": "0.0.0.0",
    "ip": "DHCP",
    "count": 1,
}
LEADERS: Mapping[Kind, Role] = {"hpc": "controller", "cloud": "control-plane"}


@dataclass(frozen=True)
class Declared:
    """One machine: its cluster, its host name, and the place of its values in `clusters`.

    `wrong` are those of its settings that have something else in `node`.
    """

    kind: Kind
    cluster: str
    hostname: str
    role: Role
    where: Location
    node: Leader | Node | NodeGroup | None
    wrong: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Of libvirt's domain."""
        return f"{self.cluster}-{self.hostname}"


def roster(clusters: Clusters | Mapping[str, object] | object) -> Iterator[Declared]:
    """The machines in the order of the file, the leader of each cluster first."""
    for kind in TYPES:
        cluster = value_of(clusters, kind)
        if cluster is not None:
            yield from _of_cluster(kind, cluster)


def value_of(thing: object, key: str) -> Any:
    """What is under `key` in a section or a mapping; None in anything else."""
    if isinstance(thing, BaseModel):
        return getattr(thing, key, None)
    return thing.get(key) if isinstance(thing, Mapping) else None


def _of_cluster(kind: Kind, cluster: object) -> Iterator[Declared]:
    name = str(value_of(cluster, "name"))
    leader, workers = TYPES[kind].leader, TYPES[kind].workers
    role = LEADERS[kind]
    yield Declared(kind, name, role, role, (kind, leader), *_leader(value_of(cluster, leader)))
    numbers: dict[Role, int] = {}
    for where, each, count in _workers(value_of(cluster, workers)):
        role = _role(kind, each)
        node, wrong = _node(each)
        for _ in range(count):
            numbers[role] = number = numbers.get(role, 0) + 1
            hostname = f"{role}-{number:02d}"
            yield Declared(kind, name, hostname, role, (kind, workers, *where), node, wrong)


def _workers(given: object) -> Iterator[tuple[Location, object, int]]:
    """Each entry of the workers with how many machines it makes."""
    yield from (((place,), each, 1) for place, each in enumerate(_listed(given)))
    for kind in ("cpu", "gpu"):
        nodes = _listed(value_of(given, kind))
        yield from (((kind, place), each, 1) for place, each in enumerate(nodes))
    count = value_of(given, "count")
    if isinstance(count, int) and 0 < count < 100:
        yield (), given, count


def _listed(given: object) -> Sequence[object]:
    return given if isinstance(given, list | tuple) else ()


def _role(kind: Kind, node: object) -> Role:
    if kind == "hpc":
        return "compute"
    passthrough = value_of(node, "pcie_passthrough")
    types = [value_of(each, "device_type") for each in _listed(value_of(passthrough, "devices"))]
    has_gpu = value_of(passthrough, "enabled") is True and "gpu" in types
    return "gpu-worker" if has_gpu else "cpu-worker"


def _leader(given: object) -> tuple[Leader | None, frozenset[str]]:
    return _read(Leader, given)


def _node(given: object) -> tuple[Node | NodeGroup | None, frozenset[str]]:
    if value_of(given, "count") is not None:
        return _read(NodeGroup, given)
    return _read(Node, given)


def _read(kind: type[S], given: object) -> tuple[S | None, frozenset[str]]:
    """The machine with stand-ins for the settings that are wrong, and their names."""
    try:
        return kind.model_validate(given), frozenset()
    except ValidationError as error:
        wrong = frozenset(str(each["loc"][0]) for each in error.errors() if each["loc"])
    if not isinstance(given, Mapping):
        return None, frozenset()
    right = {key: value for key, value in given.items() if key not in wrong}
    stand_ins = {key: value for key, value in _STAND_INS.items() if key in kind.model_fields}
    try:
        return kind.model_validate({**stand_ins, **right}), wrong
    except ValidationError:
        return None, frozenset()
