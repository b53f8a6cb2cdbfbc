"""What a cluster is told once before it serves: namespace, images, credentials of the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RuntimeImage:
    """One kind of model server: `runtime` names its entry in `runtimes`, `image` is pinned.

    `nodes` are the labels of nodes that it may run on; None is any node, or with GPUs those which
    the GPU operator labelled. `cache` names the claim of a volume for what servers compile.
    """

    runtime: str
    image: str
    cpu: str = "100m"
    memory: str = "512Mi"
    gpus: int = 0
    arguments: tuple[str, ...] = ()
    nodes: Mapping[str, str] | None = None
    cache: str | None = None


@dataclass(frozen=True)
class Bucket:
    """How pods reach the object store; `endpoint` with its scheme, empty for AWS itself.

    Without credentials the Secret that holds them is made by somebody else.
    """

    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)


@dataclass(frozen=True)
class Scaling:
    """Up to `most` pods behind an endpoint, by CPU or by what a Prometheus says of `vllm`.

    `cpu_percent` is of what a pod asks for; `running_requests` a pod, `ttft_p95` in seconds.
    """

    most: int
    cpu_percent: int | None = None
    prometheus: str = ""
    running_requests: float | None = None
    ttft_p95: float | None = None
    down_after_seconds: int = 300


@dataclass(frozen=True)
class Gateway:
    """A Gateway of the cluster whose listeners take `<model>.<domain>`."""

    name: str
    namespace: str
    domain: str


@dataclass(frozen=True)
class Site:
    """Where and with what checkpoints are served on one cluster.

    `within` says that the platform itself runs in the cluster and so resolves names of Services;
    from outside it uses their addresses, which a route to the Service network must reach.
    """

    namespace: str
    runtimes: Mapping[str, RuntimeImage]
    bucket: Bucket = field(default_factory=Bucket)
    within: bool = False
    scaling: Scaling | None = None
    gateway: Gateway | None = None
    domain: str = "cluster.local"
