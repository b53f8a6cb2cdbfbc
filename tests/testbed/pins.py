"""What the testbed is made of: versions, image names and addresses. Nothing is computed here."""

from pathlib import Path

KUBERNETES = "v1.34.4"
ETCD = "v3.6.16"
COREDNS = "v1.15.0"
METRICS_SERVER = "v0.9.0"
KSERVE = "v0.20.0"
#: The version that KServe is built against.
GATEWAY_API = "v1.5.1"
CERT_MANAGER = "v1.21.2"
#: Installed by the tests of it alone; elsewhere our ScaledObjects are held against its definition.
KEDA = "v2.20.2"
#: The proxy of KServe's chart before the metrics of its controller.
KUBE_RBAC_PROXY = "v0.18.0"
#: The last that is a Go module: later tags are no versions of one.
GPU_OPERATOR = "v1.11.1"
#: The last commit before the archive was closed.
MINIO = "v0.0.0-20260212201848-7aac2a2c5b7c"
#: The other S3 server, which is still looked after.
VERSITYGW = "v1.8.0"
DEBIAN = "bookworm"

#: Images go by the names that upstream manifests use, so that these run unchanged.
PAUSE_IMAGE = "registry.k8s.io/pause:3.10.1"
BUSYBOX_IMAGE = "docker.io/library/busybox:1.35"
COREDNS_IMAGE = f"registry.k8s.io/coredns/coredns:{COREDNS}"
METRICS_SERVER_IMAGE = f"registry.k8s.io/metrics-server/metrics-server:{METRICS_SERVER}"
MINIO_IMAGE = "quay.io/minio/minio:RELEASE.2026-02-12"
KSERVE_IMAGE = f"docker.io/kserve/kserve-controller:{KSERVE}"
KUBE_RBAC_PROXY_IMAGE = f"quay.io/brancz/kube-rbac-proxy:{KUBE_RBAC_PROXY}"
CERT_MANAGER_IMAGES = {
    role: f"quay.io/jetstack/cert-manager-{role}:{CERT_MANAGER}"
    for role in ("controller", "webhook", "cainjector")
}
GPU_OPERATOR_IMAGE = f"nvcr.io/nvidia/gpu-operator:{GPU_OPERATOR}"
STORAGE_INITIALIZER_IMAGE = f"docker.io/kserve/storage-initializer:{KSERVE}"
VERSITYGW_IMAGE = f"ghcr.io/versity/versitygw:{VERSITYGW}"
POSTGRESQL_IMAGE = "docker.io/library/postgres:15-bookworm"
MLFLOW_IMAGE = "docker.io/ai-how/mlflow:testbed"
MLX_IMAGE = "docker.io/ai-how/mlx:testbed"
LOAD_IMAGE = "docker.io/ai-how/load:testbed"

#: Brought to the nodes by the tests that need them.
KEDA_IMAGES = {
    role: f"ghcr.io/kedacore/{name}:{KEDA.removeprefix('v')}"
    for role, name in (
        ("operator", "keda"),
        ("adapter", "keda-metrics-apiserver"),
        ("webhooks", "keda-admission-webhooks"),
    )
}
PROMETHEUS_IMAGE = "docker.io/prom/prometheus:v2.42.0"
#: Not vLLM: a program that counts requests as vLLM does.
VLLM_DOUBLE_IMAGE = "docker.io/ai-how/vllm-double:testbed"

#: The first runs beside the control plane, each further one on a host of its own.
NODES = 2

#: One link joins the host to the cell; the nodes share a bridge inside it.
LINK = "aihow-testbed"
HOST_ADDRESS = "10.213.0.1"
CELL_ADDRESS = "10.213.0.2"
NODE_NETWORK = "10.213.1.0/24"
FIRST_NODE_ADDRESS = "10.213.1.1"
POD_NETWORK = "10.214.0.0/16"
SERVICE_NETWORK = "10.215.0.0/16"
API_SERVICE_ADDRESS = "10.215.0.1"
DNS_ADDRESS = "10.215.0.10"
API_PORT = 6443
S3_PORT = 9000

REPOSITORY = Path(__file__).parents[2]
