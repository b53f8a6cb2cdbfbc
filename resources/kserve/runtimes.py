"""Namespaced ServingRuntimes, one for each kind of model server that a site has. Pure.

KServe starts every InferenceService anew whose runtime changes. So a runtime never does: its name
follows from its spec, and another image is another runtime, for what is started after that.
How the same servers run as processes is `process_serving.runtimes`' business.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from resources.kserve.site import RuntimeImage, Site

API_VERSION = "serving.kserve.io/v1alpha1"
KIND = "ServingRuntime"
CONTAINER = "kserve-container"
MODEL_FORMAT = "huggingface"
MODELS = "/mnt/models"
PORT = 8080
CACHE = "/cache"
#: KServe sets what it needs; these hold for every server.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "PYTHONUNBUFFERED": "1",
    "HOME": CACHE,
    "VLLM_CACHE_ROOT": f"{CACHE}/vllm",
}
#: Until then every node knows that the pod is to get no more requests.
_DRAIN_SECONDS = 5
#: What vLLM gives requests under way before it ends; with the pause before and the teardown after
#: it stays within the 30 s that Kubernetes gives a pod. By default it cuts them off.
_UNDER_WAY_SECONDS = 20
#: The label and the taint of nodes with GPUs, as NVIDIA's operator and common practice have them.
_GPU_NODES = {"nvidia.com/gpu.present": "true"}
_GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
#: Kubernetes leaves a pod on a lost node for 300 s before another takes its place. By the time that
#: a node counts as lost it has been silent for 40 to 50 s, and a model server has no state to save.
_LOST_NODE_SECONDS = 30
_LOST_NODE_TOLERATIONS = [
    {
        "key": f"node.kubernetes.io/{each}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": _LOST_NODE_SECONDS,
    }
    for each in ("not-ready", "unreachable")
]
#: A start may take an hour of them; whoever waits has its own patience and takes the pod away.
_STARTUP_PROBES = 3600


@dataclass(frozen=True)
class Server:
    """A kind of model server: what its container runs, before the arguments of one checkpoint."""

    command: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


# mlx_lm loads another model whenever a request's name is not its `--model`; so a link of that name
# is made, and the name is the script's $0. It would sleep through SIGTERM as a container's first
# process, and be killed half a minute later; so the shell is that and passes the signal on.
_MLX = (
    'cd "$(mktemp -d)" && ln -s /mnt/models "$0" || exit\n'
    f'python3 -m mlx_lm server --host 0.0.0.0 --port {PORT} --model "$0" & server=$!\n'
    'trap "kill $server" TERM\n'
    "while kill -0 $server 2>/dev/null; do wait $server; status=$?; done\n"
    "exit $status"
)
_VLLM = Server(
    command=("vllm", "serve", MODELS),
    arguments=(
        *("--port", str(PORT), "--shutdown-timeout", str(_UNDER_WAY_SECONDS)),
        "--served-model-name",
    ),
)
# As in `process_serving.runtimes`: no second import of 21 s, no compiler run of 113 s, and kernels
# where the next start looks for them.
_ON_A_GPU = {
    "VLLM_WORKER_MULTIPROC_METHOD": "fork",
    "VLLM_USE_FLASHINFER_SAMPLER": "0",
    "TRITON_CACHE_DIR": f"{CACHE}/triton",
}
SERVERS: Mapping[str, Server] = {
    "mlx": Server(command=("sh", "-c", _MLX)),
    "vllm": replace(_VLLM, environment=_ON_A_GPU),
    "vllm-cpu": _VLLM,
}


def runtime_name(image: RuntimeImage) -> str:
    return _named(image.runtime, _spec(image))


def serving_runtimes(site: Site) -> list[dict[str, Any]]:
    """The manifest of each runtime of the site."""
    return [_serving_runtime(site.namespace, each) for each in site.runtimes.values()]


def _serving_runtime(namespace: str, image: RuntimeImage) -> dict[str, Any]:
    spec = _spec(image)
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": _named(image.runtime, spec), "namespace": namespace},
        "spec": spec,
    }


def _named(runtime: str, spec: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
    return f"ai-how-{runtime}-{digest[:8]}"


def _spec(image: RuntimeImage) -> dict[str, Any]:
    return {
        # Never chosen by KServe for an InferenceService that names none.
        "supportedModelFormats": [{"name": MODEL_FORMAT, "version": "1", "autoSelect": False}],
        "protocolVersions": ["v2"],
        **_placement(image),
        "containers": [_container(image)],
        "volumes": [
            {"name": "shm", "emptyDir": {"medium": "Memory"}},
            {"name": "cache", **_cache(image)},
        ],
    }


def _cache(image: RuntimeImage) -> dict[str, Any]:
    if image.cache is None:
        return {"emptyDir": {}}
    return {"persistentVolumeClaim": {"claimName": image.cache}}


def _placement(image: RuntimeImage) -> dict[str, Any]:
    """Which nodes it may run on; a taint keeps others off the nodes with GPUs."""
    nodes = image.nodes if image.nodes is not None else _GPU_NODES if image.gpus else {}
    selector = {"nodeSelector": dict(nodes)} if nodes else {}
    gpu = [_GPU_TOLERATION] if image.gpus else []
    return {**selector, "tolerations": [*_LOST_NODE_TOLERATIONS, *gpu]}


def _container(image: RuntimeImage) -> dict[str, Any]:
    server = SERVERS[image.runtime]
    health = {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": 1}
    environment = {**_ENVIRONMENT, **server.environment}
    return {
        "name": CONTAINER,
        "image": image.image,
        "command": list(server.command),
        "args": list(server.arguments),
        "env": [{"name": name, "value": value} for name, value in sorted(environment.items())],
        "ports": [{"containerPort": PORT, "protocol": "TCP"}],
        "lifecycle": {"preStop": {"sleep": {"seconds": _DRAIN_SECONDS}}},
        "startupProbe": {**health, "failureThreshold": _STARTUP_PROBES},
        "readinessProbe": {**health, "timeoutSeconds": 5, "failureThreshold": 3},
        "resources": _resources(image),
        "volumeMounts": [
            {"name": "shm", "mountPath": "/dev/shm"},
            {"name": "cache", "mountPath": CACHE},
        ],
    }


def _resources(image: RuntimeImage) -> dict[str, Any]:
    requests = {"cpu": image.cpu, "memory": image.memory}
    if not image.gpus:
        return {"requests": requests}
    gpus = {"nvidia.com/gpu": str(image.gpus)}
    return {"requests": {**requests, **gpus}, "limits": gpus}
