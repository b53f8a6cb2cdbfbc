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
    cache: Name | None = Field(
        default=None,
        description="a PersistentVolumeClaim of the namespace for what servers compile, which "
        "their pods share; by default each pod compiles anew",
    )


class Autoscaling(Section):
    """Several pods behind an endpoint: by CPU, or by `vllm`'s own figures where KEDA is."""

    most: Annotated[int, Field(ge=2, le=256)] = Field(description="how many pods at most")
    cpu_percent: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None,
        description="more pods above this share of the CPU that a pod asks for; says nothing of a "
        "model server on a GPU",
    )
    prometheus: str | None = Field(
        default=None,
        description="`http://…` of the Prometheus that KEDA asks, as it reaches it; its figures of "
        "the pods have the labels `namespace` and `pod`",
    )
    running_requests: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="more pods above so many requests at work in each"
    )
    ttft_p95: Seconds | None = Field(
        default=None, description="more pods above this time to the first token, in seconds"
    )
    down_after_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(
        default=300, description="how long it must have been quiet before a pod goes"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        figures = self.running_requests is not None or self.ttft_p95 is not None
        if (self.cpu_percent is None) == (self.prometheus is None):
            raise ValueError("autoscaling needs either cpu_percent or prometheus")
        if (self.prometheus is not None) != figures:
            raise ValueError(
                "running_requests and ttft_p95 are asked of a prometheus, and it needs one of them"
            )
        return self


class ClusterLoad(Section):
    """Load tests from inside the cluster, next to what they measure."""

    image: str = Field(description="the image of the load client, made by `deploy/load/Dockerfile`")
    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1, description="how many clients share the rate; one manages some hundreds a second"
    )
    cpu: str = Field(default="1", description="what each client asks for")
    memory: str = Field(default="512Mi", description="what each client asks for")


class ClusterGateway(Section):
    """A Gateway of the Gateway API; each model is reached through it as `<model>.<domain>`."""

    name: Name = Field(description="the Gateway's name")
    namespace: Name = Field(description="the namespace that it is in")
    domain: str = Field(description="a domain whose names all lead to the Gateway")


class Cluster(Section):
    """KServe on the cluster of `kubernetes`; its pods must reach the bucket of `store.url`."""

    namespace: Name = Field(default="ai-how", description="where all that serves is made")
    runtimes: dict[Literal["mlx", "vllm", "vllm-cpu"], ClusterRuntime] = Field(
        description="the model servers that the cluster has"
    )
    load: ClusterLoad | None = Field(
        default=None, description="without it load tests run on this machine"
    )
    autoscaling: Autoscaling | None = Field(
        default=None, description="without it one pod serves each model"
    )
    gateway: ClusterGateway | None = Field(
        default=None, description="without it endpoints are reached by their Services alone"
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
        description="without it model servers run as processes of this machine",
    )
    strategy: Literal["candidate", "replace"] = Field(
        default="candidate",
        description="`candidate` tries a checkpoint beside the champion; `replace`, for a site "
        "with one GPU, stops the champion meanwhile and brings it back if the checkpoint is "
        "turned away",
    )
    keep_warm: Annotated[int, Field(ge=0, le=8)] = Field(
        default=1,
        description="how many former champions stay up for a rollback; none with `replace`",
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
        "`vllm`, of which starts of 31 to 224 s were seen",
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
    def warm(self) -> int:
        """How many former champions stay up."""
        return 0 if self.strategy == "replace" else self.keep_warm

    @property
    def memory_share(self) -> float:
        most = 1 if self.strategy == "replace" else self.warm + 2
        return self.gpu_memory_share or 0.9 / most
