"""Who may speak to the API server: a token for each component, and the kubeconfigs with them."""

import base64
import json
import secrets
from collections.abc import Iterable
from pathlib import Path

from resources import atomic
from tests.testbed import pins
from tests.testbed.run.places import Places

ADMIN = "admin"
CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"
PROXY = "kube-proxy"
PROVISIONER = "provisioner"


def kubelet(node: str) -> str:
    """The identity of a node's kubelet."""
    return f"kubelet-{node}"


def write(places: Places, nodes: Iterable[str]) -> None:
    """Write the API server's table of tokens and everyone's kubeconfig, all of mode 0600."""
    users = {
        ADMIN: ("testbed-admin", "system:masters"),
        PROVISIONER: ("testbed-provisioner", "system:masters"),
        CONTROLLER_MANAGER: ("system:kube-controller-manager", ""),
        SCHEDULER: ("system:kube-scheduler", ""),
        PROXY: ("system:kube-proxy", ""),
        **{kubelet(node): (f"system:node:{node}", "system:nodes") for node in nodes},
    }
    rows = []
    for name, (user, group) in users.items():
        token = secrets.token_urlsafe(32)
        rows.append(",".join([token, user, name, group]).rstrip(","))
        atomic.replace(kubeconfig(places, name), _kubeconfig(places, user, token))
    atomic.replace(tokens(places), "\n".join(rows) + "\n")


def kubeconfig(places: Places, name: str) -> Path:
    return places.kubeconfig if name == ADMIN else places.pki / f"{name}.kubeconfig"


def tokens(places: Places) -> Path:
    return places.pki / "tokens.csv"


def _kubeconfig(places: Places, user: str, token: str) -> str:
    server = f"https://{pins.FIRST_NODE_ADDRESS}:{pins.API_PORT}"
    # JSON is YAML. The authority is within, so that the file works wherever it is copied.
    authority = (places.pki / "ca.crt").read_bytes()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "testbed",
        "clusters": [
            {
                "name": "testbed",
                "cluster": {"server": server, "certificate-authority-data": _base64(authority)},
            }
        ],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": user}}],
    }
    return json.dumps(document, indent=1) + "\n"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
