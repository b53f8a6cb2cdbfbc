"""What the assets of a cluster are called; no Dagster, for the command asks for them by name."""

from cloud_assets.machines.desired import Cluster


def asset_names(cluster: Cluster) -> dict[str, str]:
    """The asset of each thing by libvirt's name of it: network, pool, then machines in order.

    They say the cluster's kind and not its name, so that what stands upon them is always called
    the same.
    """
    return {
        cluster.network.name: f"{cluster.kind}_network",
        cluster.pool.name: f"{cluster.kind}_pool",
        **{
            each.name: f"{cluster.kind}_{each.hostname.replace('-', '_')}"
            for each in cluster.machines
        },
    }
