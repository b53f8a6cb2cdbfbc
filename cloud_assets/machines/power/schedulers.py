"""What gives machines their work, as the settings name it; nothing is asked of it yet."""

from dataclasses import dataclass
from functools import cached_property

from cloud_assets.machines.gpus.adapters import KubernetesNodes, SlurmNodes
from cloud_assets.settings import Settings
from resources.kubernetes import Kubernetes
from resources.slurm import Slurm

#: Why nothing is asked of them.
NO_KUBERNETES = "no Kubernetes is known: `platform.kubernetes.kubeconfig` names none"
NO_SLURM = "no Slurm is known: `platform.slurm` names none"


@dataclass(frozen=True)
class Schedulers:
    """Kubernetes for the cloud, Slurm for the HPC cluster; None where none is named.

    `answer_seconds` is for who only looks and must not wait: each is asked once and given so long.
    """

    settings: Settings
    answer_seconds: float | None = None

    @cached_property
    def kubernetes(self) -> KubernetesNodes | None:
        at, machines = self.settings.kubernetes, self.settings.machines
        if at.kubeconfig is None:
            return None
        client = Kubernetes(at.kubeconfig, context=at.context)
        if self.answer_seconds is not None:
            client = Kubernetes(
                at.kubeconfig, context=at.context,
                retry_seconds=0.0, answer_seconds=self.answer_seconds,
            )  # fmt: skip
        return KubernetesNodes(
            client, machines.drain_timeout_seconds, machines.boot_timeout_seconds, at.nodes
        )

    @cached_property
    def slurm(self) -> SlurmNodes | None:
        at, machines = self.settings.slurm, self.settings.machines
        if at.configuration is None and at.login is None:
            return None
        client = Slurm(
            at.configuration, login=at.login, timeout_seconds=self.answer_seconds or 60.0
        )
        return SlurmNodes(
            client, machines.drain_timeout_seconds, machines.boot_timeout_seconds, at.nodes
        )
