"""The `clusters:` part of `cluster.yaml`: an HPC cluster under Slurm, a cloud under Kubernetes.

An earlier file stands here unchanged. What several machines must not share is looked at by
`consistency`.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Self, TypeVar

from pydantic import Field, model_validator

from cloud_assets.settings.machines.hardware import Hardware
from cloud_assets.settings.machines.nodes import ComputeNodes, Leader, WorkerNodes
from cloud_assets.settings.machines.scalars import Absolute, Bridge, Flag, Image, Name, Subnet
from cloud_assets.settings.section import Section

S = TypeVar("S", bound=Section)


class Network(Section):
    """The network of a cluster's machines: a bridge of the host, which has the first address."""

    subnet: Subnet = Field(description="its addresses, as in `192.168.100.0/24`")
    bridge: Bridge = Field(description="the bridge on the host, at most 15 characters")


class BeegfsClient(Section):
    """How machines mount BeeGFS."""

    mount_options: str = Field(default="defaults,_netdev", description="options of the mount")
    auto_mount: Flag = Field(default=True, description="whether it is mounted at boot")


_Hosts = Annotated[tuple[str, ...], Field(min_length=1)]


class Beegfs(Section):
    """The parallel file system of the HPC cluster; machines by their host names."""

    enabled: Flag = Field(description="whether it is set up")
    mount_point: Absolute = Field(description="where machines have it")
    management_node: str = Field(default="controller", description="where its management runs")
    metadata_nodes: _Hosts | None = Field(
        default=None, description="machines that keep its metadata; the controller by default"
    )
    storage_nodes: _Hosts | None = Field(
        default=None, description="machines that keep its files; all compute nodes by default"
    )
    client_config: BeegfsClient = BeegfsClient()


class Virtiofs(Section):
    """Directories of the host in machines; each machine names its own in `virtio_fs_mounts`."""

    enabled: Flag = Field(description="whether machines are given them")


class Storage(Section):
    """The file systems of the HPC cluster."""

    beegfs: Beegfs | None = None
    virtio_fs: Virtiofs | None = None


class Slurm(Section):
    """Partitions of Slurm."""

    partitions: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="the names of the partitions"
    )
    default_partition: str = Field(description="where jobs go that name none")
    max_job_time: str | None = Field(
        default=None, description="the longest a job may take, as in `24:00:00`, in quotes"
    )

    @model_validator(mode="after")
    def _default_is_one(self) -> Self:
        if self.default_partition not in self.partitions:
            known = ", ".join(self.partitions)
            raise ValueError(
                f"default_partition `{self.default_partition}` is none of the partitions; "
                f"there are {known}"
            )
        return self


class KubernetesConfig(Section):
    """What Kubernetes is made with."""

    cni: str = Field(description="the network plugin, as in `calico`")
    ingress: str = Field(description="the ingress controller, as in `nginx`")
    storage_class: str = Field(description="the default storage class, as in `local-path`")


class Cluster(Section):
    """What both clusters have."""

    name: Name = Field(
        description="begins the names of its machines, as in `NAME-controller`, of its network "
        "and its pool"
    )
    base_image_path: Image | None = Field(
        default=None,
        description="the image below the disk of each machine that names none; relative to the "
        "project, which is the nearest directory upwards with `.git`, else that of the file",
    )
    network: Network
    hardware: Hardware = Hardware()


class HpcCluster(Cluster):
    """The HPC cluster, where models are trained: Slurm's controller and compute nodes."""

    leader: ClassVar = "controller"
    workers: ClassVar = "compute_nodes"

    controller: Leader
    compute_nodes: ComputeNodes
    slurm_config: Slurm
    storage: Storage = Storage()


class CloudCluster(Cluster):
    """The cloud cluster, where models are served: Kubernetes' control plane and workers."""

    leader: ClassVar = "control_plane"
    workers: ClassVar = "worker_nodes"

    control_plane: Leader
    worker_nodes: WorkerNodes
    kubernetes_config: KubernetesConfig


class Clusters(Section):
    """The clusters of virtual machines; one of them may be missing."""

    hpc: HpcCluster | None = None
    cloud: CloudCluster | None = None

    def resolved(self, project: Path) -> Self:
        """The same with the paths of images absolute, relative ones taken from `project`."""

        def absolute(section: S) -> S:
            changed: dict[str, object] = {}
            for name in type(section).model_fields:
                value = getattr(section, name)
                if name == "base_image_path" and value is not None:
                    changed[name] = str(Path.absolute(project / Path(value).expanduser()))
                elif isinstance(value, Section):
                    changed[name] = absolute(value)
                elif isinstance(value, tuple):
                    changed[name] = tuple(
                        absolute(each) if isinstance(each, Section) else each for each in value
                    )
            return section.model_copy(update=changed)

        return absolute(self)
