"""What a cluster is told once before it serves: namespace, images, credentials of the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RuntimeImage:
    """One kind of model server: `runtime` names its entry in `runtimes`, `image` is pinned.

    `nodes` are the labels of nodes that it may run on; None is any node, or with GPUs those which
    the GPU operator labelled.
    """

    runtime: str
    image: str
    cpu: str = "100m"
    memory: str = "512Mi"
    gpus: int = 0
    arguments: tuple[str, ...] = ()
    nodes: Mapping[str, str] | None = None


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
class Site:
    """Where and with what checkpoints are served on one cluster.

    `within` says that the platform itself runs in the cluster and so resolves names of Services;
    from outside it uses their addresses, which a route to the Service network must reach.
    """

    namespace: str
    runtimes: Mapping[str, RuntimeImage]
    bucket: Bucket = field(default_factory=Bucket)
    within: bool = False
    domain: str = "cluster.local"
