"""Who is in which group of an inventory, and what Ansible is told of each host; pure.

Groups of the cloud are Kubespray's, those of the HPC cluster the earlier tool's; hosts are called
as the guests call themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloud_assets.machines.desired import Cluster, Machine

GPU_LABELS = {"workload-type": "gpu", "gpu-type": "nvidia"}
#: As the kubelet takes them; what asks for a GPU tolerates it.
GPU_TAINTS = ("nvidia.com/gpu=present:NoSchedule",)


@dataclass(frozen=True)
class Reached:
    """A machine that runs, its address, and what Ansible needs to log in on it alone."""

    machine: Machine
    address: str
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Hosts by name, or other groups."""

    name: str
    hosts: tuple[str, ...] = ()
    children: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inventory:
    """`hosts` are all of them with what is said of each, `variables` what is said of all."""

    hosts: Mapping[str, Mapping[str, Any]]
    groups: tuple[Group, ...]
    variables: Mapping[str, Any]


def kubespray(reached: Sequence[Reached], *, user: str, key: str) -> Inventory:
    """For Kubespray, which wants somebody in `kube_node`: else the control plane."""
    leaders = _names(reached, "control-plane")
    workers = _names(reached, "cpu-worker", "gpu-worker")
    return Inventory(
        hosts={each.machine.hostname: _node(each) for each in reached},
        groups=(
            Group("kube_control_plane", leaders),
            Group("etcd", leaders),
            Group("kube_node", workers or leaders),
            Group("calico_rr"),
            Group("k8s_cluster", children=("kube_control_plane", "kube_node", "calico_rr")),
        ),
        variables=_login(user, key),
    )


def slurm(cluster: Cluster, reached: Sequence[Reached], *, user: str, key: str) -> Inventory:
    """For roles that set up Slurm; `slurm_node_name` is what slurm.conf calls a host."""
    computing = [each for each in reached if each.machine.role == "compute"]
    with_gpus = tuple(each.machine.hostname for each in computing if each.machine.gpus)
    others = tuple(each.machine.hostname for each in computing if not each.machine.gpus)
    groups = (
        Group("hpc_controllers", _names(reached, "controller")),
        Group("hpc_compute_nodes", others),
        Group("hpc_gpu_nodes", with_gpus),
    )
    return Inventory(
        hosts={each.machine.hostname: _slurm_node(each) for each in reached},
        groups=(*groups, Group("hpc", children=tuple(each.name for each in groups))),
        variables={**_login(user, key), "cluster_name": cluster.name},
    )


def _names(reached: Sequence[Reached], *roles: str) -> tuple[str, ...]:
    return tuple(each.machine.hostname for each in reached if each.machine.role in roles)


def _login(user: str, key: str) -> dict[str, Any]:
    return {"ansible_user": user, "ansible_ssh_private_key_file": key, "ansible_become": True}


def _host(reached: Reached) -> dict[str, Any]:
    return {"ansible_host": reached.address, **reached.variables}


def _node(reached: Reached) -> dict[str, Any]:
    found = {**_host(reached), "ip": reached.address, "access_ip": reached.address}
    if reached.machine.gpus:
        found |= {"node_labels": dict(GPU_LABELS), "node_taints": list(GPU_TAINTS)}
    return found


def _slurm_node(reached: Reached) -> dict[str, Any]:
    machine = reached.machine
    gpus = len(machine.gpus)
    computes = "gpu_compute" if gpus else "compute"
    return {
        **_host(reached),
        "slurm_node_name": machine.hostname,
        "node_role": "controller" if machine.role == "controller" else computes,
        "cpu_cores": machine.vcpus,
        "memory_gb": machine.memory.size_bytes // 2**30,
        **({"has_gpu": True, "gpu_count": gpus} if gpus else {}),
    }
