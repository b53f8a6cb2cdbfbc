"""The sections of services that come as Helm charts: which version, and what of it is chosen.

Where each chart lies stands under `platform.charts`, its images under `platform.images`.
"""

from typing import Annotated, Any

from pydantic import Field

from cloud_assets.settings.section import Name, Section

#: Where each chart is, unless `platform.charts` names another place.
CHARTS: dict[str, str | None] = {
    "cert-manager": "https://charts.jetstack.io",
    "kserve-crd": "oci://ghcr.io/kserve/charts/kserve-crd",
    "kserve-resources": "oci://ghcr.io/kserve/charts/kserve-resources",
    "gpu-operator": "https://helm.ngc.nvidia.com/nvidia",
}
#: What a site may exchange; without a word of the site's the chart's own runs.
IMAGES: dict[str, str | None] = {
    # Of the pod that takes a GPU to see that it can.
    "gpu-check": "docker.io/library/busybox:1.37.0",
} | dict.fromkeys(
    (
        "cert-manager-controller",
        "cert-manager-webhook",
        "cert-manager-cainjector",
        "kserve-controller",
        "kserve-storage-initializer",
        "kube-rbac-proxy",
        "gpu-operator",
        "nvidia-driver",
        "nvidia-container-toolkit",
        "nvidia-device-plugin",
        "nvidia-dcgm-exporter",
        "nvidia-mig-manager",
        "node-feature-discovery",
    )
)


class Installed(Section):
    """What all services have that come as charts."""

    adopt: bool = Field(
        default=False,
        description="take over what somebody else installed; without it nothing of others is "
        "changed, and the asset says whose it is",
    )
    values: dict[str, Any] = Field(
        default_factory=dict, description="further values of the chart, on top of the platform's"
    )


class Certificates(Installed):
    """The certificates of KServe's webhooks, by cert-manager."""

    version: str = Field(default="v1.21.2", description="of the chart; a folder has its own")
    namespace: Name = Field(default="cert-manager", description="where it is installed")


class KServe(Installed):
    """KServe in Standard mode: definitions and controller, always in the namespace `kserve`."""

    version: str = Field(default="v0.20.0", description="of both charts; a folder has its own")
    gateway: Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9.-]+$")] | None = Field(
        default=None,
        description="`NAMESPACE/NAME` of a Gateway that gets a route to each InferenceService; "
        "without one there is no way in but the platform's own Services",
    )


class GpuOperator(Installed):
    """NVIDIA's GPU operator: device plugin, container toolkit, labels and figures of GPUs."""

    version: str = Field(default="v26.7.0", description="of the chart; a folder has its own")
    namespace: Name = Field(default="gpu-operator", description="where it is installed")
    driver: bool = Field(
        default=False, description="install the driver too; off where the nodes' image has it"
    )
    toolkit: bool = Field(
        default=True, description="install the container toolkit; off where the image has it"
    )
    node_feature_discovery: bool = Field(
        default=True, description="install it too; off where the cluster has it already"
    )
    pods_per_gpu: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1,
        description="how many pods take turns on one GPU (time-slicing); they share its memory "
        "without protection from one another",
    )
    monitor_labels: dict[str, str] = Field(
        default_factory=dict,
        description="labels of the ServiceMonitor by which Prometheus finds the GPUs' figures",
    )
