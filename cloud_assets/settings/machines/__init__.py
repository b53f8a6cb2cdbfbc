"""The clusters of virtual machines in `cluster.yaml`, typed and frozen; a module a part.

`roster` names the machines, `consistency` and `sharing` say what does not go together.
"""

from cloud_assets.settings.machines.clusters import CloudCluster, Clusters, HpcCluster, Network
from cloud_assets.settings.machines.devices import Mount, Passthrough, PciDevice
from cloud_assets.settings.machines.host import Machines
from cloud_assets.settings.machines.nodes import Leader, Node, NodeGroup, NodesByKind

__all__ = [
    "CloudCluster",
    "Clusters",
    "HpcCluster",
    "Leader",
    "Machines",
    "Mount",
    "Network",
    "Node",
    "NodeGroup",
    "NodesByKind",
    "Passthrough",
    "PciDevice",
]
