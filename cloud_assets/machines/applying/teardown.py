"""Taking a whole cluster down: its consoles are kept, machines, disks, pool and network go."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cloud_assets.machines import domain_xml
from cloud_assets.machines.applying.machine import remove, see_consoles
from cloud_assets.machines.applying.progress import Listener, Step, nobody
from cloud_assets.machines.desired import Cluster
from cloud_assets.machines.domain_xml import console_name
from cloud_assets.machines.planning.removals import is_spelt_as_ours
from resources import atomic
from resources.errors import ExternalError
from resources.libvirt import Connection, networks, observe, storage


def destroy(
    connection: Connection, cluster: Cluster, *, logs: Path, told: Listener = nobody
) -> tuple[str, ...]:
    """All of ours with the cluster's mark, be it in the file or not; what was there by name.

    May be repeated after it was killed. Raises NotOurs where a name is somebody else's.
    """
    see_consoles(connection, cluster.name)
    seen = observe(connection)
    machines = [
        each.name
        for each in seen.domains
        if (each.configured.mark or {}).get("cluster") == cluster.name
    ]
    keep_consoles(connection, cluster, machines, logs)
    for name in machines:
        told(Step(name, "remove"))
        remove(connection, cluster.name, name)
    identity = domain_xml.pool_identity(cluster.name)
    pool = seen.pool(identity.name)
    for volume in pool.volumes if pool is not None and pool.identity == identity else ():
        if is_spelt_as_ours(cluster, volume.name):
            storage.delete_volume(connection, identity, volume.name)
    gone = list(machines)
    ends: tuple[tuple[str, Callable[[], bool]], ...] = (
        (identity.name, lambda: storage.undefine_pool(connection, identity)),
        (cluster.network.name, lambda: networks.undefine(
            connection, domain_xml.network_identity(cluster.name))),
    )  # fmt: skip
    for name, end in ends:
        if end():
            told(Step(name, "remove"))
            gone.append(name)
    return tuple(gone)


def keep_consoles(
    connection: Connection, cluster: Cluster, machines: list[str], directory: Path
) -> None:
    """What each machine has written to its console since its last start, as files."""
    identity = domain_xml.pool_identity(cluster.name)
    for name in machines:
        with suppress(ExternalError):
            content = storage.download(connection, identity, console_name(name))
            directory.mkdir(parents=True, exist_ok=True)
            atomic.replace(directory / f"{name}.log", content.decode("utf-8", "replace"))
