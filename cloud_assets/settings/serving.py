"""The `serving:` section: model servers as processes of this machine, or on a cluster."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cloud_assets.settings.section import Name, Seconds, Section


class ClusterRuntime(Section):
    """One kind of model server on the cluster, by its pinned image."""

    image: str = Field(description="the container image, with its tag or digest")
    cpu: str = Field(default="1", description="what a pod asks for, as Kubernetes writes it")
    memory: str = Field(default="4Gi", description="what a pod asks for, as Kubernetes writes it")
    gpus: Annotated[int, Field(ge=0, le=16)] = Field(
        default=0, description="how many `nvidia.com/gpu` a pod takes"
    )
    nodes: dict[str, str] | None = Field(
        default=None,
        description="labels of the nodes that it may run on; by default any node, or with `gpus` "
        "those with `nvidia.com/gpu.present: true`, which NVIDIA's operator sets",
    )


class Cluster(Section):
    """KServe on the cluster of `kubernetes`; its pods must reach the bucket of `store.url`."""

    namespace: Name = Field(default="ai-how", description="where all that serves is made")
    runtimes: dict[Literal["mlx", "vllm", "vllm-cpu"], ClusterRuntime] = Field(
        description="the model servers that the cluster has"
    )


class Serving(Section):
    """How checkpoints are served."""

    runtime: Literal["mlx", "vllm", "vllm-cpu"] = Field(
        default="mlx",
        description="the model server: `mlx` on CPUs, `vllm` where a GPU is; a "
        "cluster also has `vllm-cpu`",
    )
    base_models: dict[str, Path] = Field(
        default_factory=dict,
        description="the directory of each base model that LoRA adapters name, "
        "as in `Qwen/Qwen3-8B: /models/qwen3-8b`",
    )
    cluster: Cluster | None = Field(
        default=None,
        description="how the Kubernetes cluster with KServe serves; without it model servers run "
        "as processes of this machine",
    )
    keep_warm: Annotated[int, Field(ge=0, le=8)] = Field(
        default=1, description="how many former champions stay up for a rollback"
    )
    gpu_memory_share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None,
        description="the share of the GPU's memory that one `vllm` server takes; by default so "
        "much that the champion, the warm ones and a candidate fit beside one another",
    )
    arguments: tuple[str, ...] = Field(
        default=(),
        description="further arguments of the model server, as in `[--max-model-len, 8192]`",
    )
    timeout_seconds: Seconds = Field(
        default=120,
        description="how long a model server may take until its first answer; 600 by default for "
        "`vllm`, of which cold starts of 31 to 224 s were seen",
    )

    @model_validator(mode="before")
    @classmethod
    def _patience(cls, given: object) -> object:
        if isinstance(given, dict) and given.get("runtime") in ("vllm", "vllm-cpu"):
            return {"timeout_seconds": 600, **given}
        return given

    @model_validator(mode="after")
    def _runtime_is_there(self) -> Self:
        if self.cluster is None and self.runtime == "vllm-cpu":
            raise ValueError("`vllm-cpu` is for clusters: set serving.cluster, or use vllm or mlx")
        if self.cluster is not None and self.runtime not in self.cluster.runtimes:
            raise ValueError(f"serving.cluster.runtimes names no image for `{self.runtime}`")
        return self

    def resolved(self, absolute: Callable[[Path], Path]) -> Self:
        """The same with every path absolute."""
        models = {name: absolute(path) for name, path in self.base_models.items()}
        return self.model_copy(update={"base_models": models})

    @property
    def memory_share(self) -> float:
        return self.gpu_memory_share or 0.9 / (self.keep_warm + 2)
