"""One node: containerd, kubelet and kube-proxy, their configuration and their commands.

Where a node runs (in the cell or in a host of its own) is left to the callers.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resources import atomic
from resources.supervisor import Program
from tests.testbed import pins
from tests.testbed.build import cache, image_store
from tests.testbed.run import control_plane, identities
from tests.testbed.run.places import Places

_CNI_PROGRAMS = "/usr/lib/cni"


@dataclass(frozen=True)
class Node:
    """The node number `number`, from 1; its name, address and pods follow from that."""

    number: int
    places: Places

    @property
    def name(self) -> str:
        return f"node-{self.number}"

    @property
    def address(self) -> str:
        return f"{pins.FIRST_NODE_ADDRESS.rpartition('.')[0]}.{self.number}"

    @property
    def pods(self) -> str:
        """The network of its pods."""
        first, second, *_ = pins.POD_NETWORK.split(".")
        return f"{first}.{second}.{self.number}.0/24"

    @property
    def home(self) -> Path:
        return self.places.node(self.name)

    @property
    def cgroup_root(self) -> str:
        """Where its pods are: two kubelets with one root would end each other's as orphans.

        A host of its own sees nothing but its own groups.
        """
        return f"/{self.places.cgroup}/{self.name}" if self.number == 1 else "/"

    @property
    def state(self) -> Path:
        """Sockets and what ends with the node: short, and private to its mounts."""
        return Path("/run") / self.name


def prepare(node: Node) -> None:
    """Write the node's configuration and give it an image store of its own."""
    node.home.mkdir(mode=0o755)
    (node.home / "cni").mkdir(mode=0o755)
    image_store.copy(cache.have(image_store.image_store()), node.home / "containerd")
    (node.home / "containerd.toml").write_text(_containerd(node), "utf-8")
    (node.home / "resolv.conf").write_text("", "utf-8")
    _write_json(node.home / "cni" / "10-testbed.conflist", _cni(node))
    _write_json(node.home / "kubelet.json", _kubelet(node))
    _write_json(node.home / "kube-proxy.json", _proxy(node))


def commands(node: Node) -> dict[str, list[str | Path]]:
    """The node's programs by name, in the order of their start."""
    kubelet_identity = identities.kubeconfig(node.places, identities.kubelet(node.name))
    return {
        "containerd": ["containerd", "--config", node.home / "containerd.toml"],
        "kubelet": [
            control_plane.kubernetes_command("kubelet"),
            "--config", node.home / "kubelet.json", "--kubeconfig", kubelet_identity,
            "--hostname-override", node.name, "--node-ip", node.address,
            "--root-dir", node.home / "kubelet",
            "--node-labels", f"topology.kubernetes.io/zone=testbed-{node.number}",
        ],
        "kube-proxy": [
            control_plane.kubernetes_command("kube-proxy"),
            "--config", node.home / "kube-proxy.json", "--hostname-override", node.name,
        ],
    }  # fmt: skip


def programs(node: Node) -> list[Program]:
    """The same as programs of the cell's supervisord."""
    return [
        control_plane.program(node.places, f"{name}-{node.number}", command)
        for name, command in commands(node).items()
    ]


def _containerd(node: Node) -> str:
    # Without restrict_oom_score_adj runc may not lower the score of a sandbox, and dies of it.
    return f"""version = 2
root = "{node.home}/containerd"
state = "{node.state}/containerd"
[grpc]
  address = "{_socket(node)}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pins.PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{_CNI_PROGRAMS}"
    conf_dir = "{node.home}/cni"
"""


def _cni(node: Node) -> dict[str, Any]:
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": node.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(node.state / "addresses"),
        },
    }
    port_map = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "testbed", "plugins": [bridge, port_map]}


def _kubelet(node: Node) -> dict[str, Any]:
    authority = str(node.places.pki / "ca.crt")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": authority},
        },
        "authorization": {"mode": "Webhook"},
        "address": node.address,
        "healthzBindAddress": node.address,
        "containerRuntimeEndpoint": f"unix://{_socket(node)}",
        "clusterDNS": [pins.DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(node.home / "resolv.conf"),
        "podLogsDir": f"/var/log/{node.name}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": node.cgroup_root,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        # With these a dead node is noticed in seconds.
        "nodeLeaseDurationSeconds": 12,
        "nodeStatusUpdateFrequency": "3s",
        "serializeImagePulls": False,
        "shutdownGracePeriod": "0s",
    }


def _proxy(node: Node) -> dict[str, Any]:
    kubeconfig = identities.kubeconfig(node.places, identities.PROXY)
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "mode": "nftables",
        "clusterCIDR": pins.POD_NETWORK,
        "bindAddress": node.address,
        "healthzBindAddress": f"{node.address}:10256",
        "metricsBindAddress": f"{node.address}:10249",
        # The kernel's tables are the machine's, not the cell's.
        "conntrack": {"maxPerCore": 0, "min": 0},
    }


def _socket(node: Node) -> Path:
    return node.state / "containerd.sock"


def _write_json(path: Path, document: dict[str, Any]) -> None:
    atomic.replace(path, json.dumps(document, indent=1) + "\n")
