"""What the network and the pool of a cluster have to change; pure."""

from collections.abc import Iterator
from dataclasses import replace

from cloud_assets.machines import domain_xml
from cloud_assets.machines.desired import Cluster
from cloud_assets.machines.differences import FieldDifference, differences
from cloud_assets.machines.domain_xml import Document
from cloud_assets.machines.planning.change import BY_FILE, BY_HAND, Change
from resources.libvirt import Network, Observation

_RENAME = "rename the cluster, or remove the other by hand"
_MOVE = "its disks are where they are; set machines.pool_root back, or move them by hand"


def changes(cluster: Cluster, observed: Observation) -> Iterator[Change]:
    """Of the network, then of the pool."""
    yield _network(cluster, observed)
    yield _pool(cluster, observed)


def _network(cluster: Cluster, observed: Observation) -> Change:
    document = domain_xml.network(cluster)
    found = observed.network(document.identity.name)
    base = Change("network", cluster.name, document.identity.name, "nothing", "as it should be")
    if found is None:
        why = f"there is none; {cluster.network.subnet} on {cluster.network.bridge}"
        return replace(base, action="create", why=why)
    if found.identity != document.identity or found.mark is None:
        return _refused(base)
    differing = differences(document.xml, found.xml, "network")
    if differing:
        return _changed(base, found, document, differing, _users(base.name, observed))
    return _running(base, found.is_active, found.is_autostart)


def _changed(
    base: Change,
    found: Network,
    document: Document,
    differing: tuple[FieldDifference, ...],
    users: str,
) -> Change:
    """In place where addresses are added alone; anything else begins with another start."""
    is_old = (found.mark or {}).get("digest") != document.digest
    change = replace(base, why=BY_FILE if is_old else BY_HAND, differences=differing)
    if all(each.old is None and each.path.startswith("ip/dhcp/host[") for each in differing):
        return replace(change, action="update")
    lost = f"{users} would lose their network; stop them first, then apply again" if users else ""
    return replace(change, action="replace", withheld=lost)


def _users(network: str, observed: Observation) -> str:
    return ", ".join(
        each.name
        for each in observed.domains
        if each.is_active and any(card.network == network for card in each.live.interfaces)
    )


def _pool(cluster: Cluster, observed: Observation) -> Change:
    identity = domain_xml.pool_identity(cluster.name)
    found, path = observed.pool(identity.name), str(cluster.pool.path)
    base = Change("pool", cluster.name, identity.name, "nothing", "as it should be")
    if found is None:
        return replace(base, action="create", why=f"there is none; in {path}")
    if found.identity != identity:
        return _refused(base)
    if found.path != path:
        moved = (FieldDifference("target/path", found.path, path),)
        return replace(
            base, action="update", why="it is elsewhere", differences=moved, withheld=_MOVE,
            refused=True,
        )  # fmt: skip
    return _running(base, found.is_active, found.is_autostart)


def _running(base: Change, is_active: bool, is_autostart: bool) -> Change:
    if not is_active:
        return replace(base, action="start", why="it is not active")
    if not is_autostart:
        return replace(base, action="update", why="it does not start with the hypervisor")
    return base


def _refused(base: Change) -> Change:
    why = f"another {base.what} has that name and is not ours"
    return replace(base, action="create", why=why, withheld=_RENAME, refused=True)
