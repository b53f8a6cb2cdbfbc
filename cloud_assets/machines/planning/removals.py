"""What is ours of the file's clusters and no longer in the file; pure.

It goes only when asked for: a machine that was taken out of a file still has its disk.
"""

from collections.abc import Iterator, Sequence

from cloud_assets.machines.desired import Cluster
from cloud_assets.machines.domain_xml import console_name, pool_identity, seed_name
from cloud_assets.machines.planning.change import Change
from resources.libvirt import Observation

_ASK = "`--prune` removes it, with all that it has written"
_GONE = "the file has it no more"


def changes(clusters: Sequence[Cluster], observed: Observation, *, prune: bool) -> Iterator[Change]:
    """Of domains, then of volumes that belong to no machine any more."""
    withheld = "" if prune else _ASK
    for cluster in clusters:
        left = _machines(cluster, observed)
        for name in left:
            yield Change("machine", cluster.name, name, "remove", _GONE, withheld=withheld)
        kept = [each.name for each in cluster.machines] + left
        for name in _volumes(cluster, kept, observed):
            yield Change("volume", cluster.name, name, "remove", _GONE, withheld=withheld)


def volumes_of(machine: str) -> tuple[str, ...]:
    """All that a machine has in its pool."""
    return (f"{machine}.qcow2", seed_name(machine), console_name(machine))


def is_spelt_as_ours(cluster: Cluster, volume: str) -> bool:
    """Whether a volume of the cluster's pool is named as those of its machines are."""
    return volume.startswith(f"{cluster.name}-") and volume.endswith(volumes_of(""))


def _machines(cluster: Cluster, observed: Observation) -> list[str]:
    wanted = {each.uuid for each in cluster.machines}
    return [
        each.name
        for each in observed.domains
        if (each.configured.mark or {}).get("cluster") == cluster.name and each.uuid not in wanted
    ]


def _volumes(cluster: Cluster, machines: Sequence[str], observed: Observation) -> Iterator[str]:
    """Those spelt as ours are; a file that somebody put there goes by another name."""
    identity = pool_identity(cluster.name)
    pool = observed.pool(identity.name)
    if pool is None or pool.identity != identity:
        return
    kept = {name for each in machines for name in volumes_of(each)}
    for each in pool.volumes:
        if is_spelt_as_ours(cluster, each.name) and each.name not in kept:
            yield each.name
