"""The programs of the control plane, with MinIO beside them, as supervisord runs them.

Durability is given up (`--unsafe-no-fsync`): a testbed starts empty every time.
"""

import dataclasses
import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from resources import atomic
from resources.supervisor import Program
from tests.testbed import pins
from tests.testbed.build import cache, go_programs
from tests.testbed.run import certificates, identities
from tests.testbed.run.places import Places

_ETCD = "http://127.0.0.1:2379"


def write_certificates(places: Places) -> None:
    """Everything that the API server and the controller manager show, check or sign with."""
    places.pki.mkdir(mode=0o700)
    authority = certificates.authority(places.pki / "ca.crt")
    domains = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    addresses = [pins.FIRST_NODE_ADDRESS, pins.API_SERVICE_ADDRESS, "127.0.0.1", "localhost"]
    authority.sign("kube-apiserver", names=[*domains, *addresses])
    authority.sign("apiserver-to-kubelet", group="system:masters")
    authority.sign("service-accounts")
    certificates.authority(places.pki / "front-proxy-ca.crt").sign("front-proxy")


def shell(command: list[str | Path]) -> tuple[str, ...]:
    """The command under the usual file mode mask: supervisord's own lets no pod read anything."""
    words = [str(each) for each in command]
    return ("/bin/sh", "-c", 'umask 022 && exec "$0" "$@"', *words)


def program(
    places: Places,
    name: str,
    command: list[str | Path],
    environment: Mapping[str, str] | None = None,
) -> Program:
    """A supervised program, restarted whenever it ends."""
    return Program(name, shell(command), directory=places.home, environment=environment or {})


def write_first(places: Places, *, hosts: Mapping[str, str]) -> None:
    """Write down for the cell what all else waits for: etcd, the API server, MinIO.

    `hosts` has the network of the pods of each node beyond the first, by the node's address.
    """
    programs = [_etcd(places), _api_server(places), _minio(places)]
    written = [
        {
            "name": each.name,
            "command": each.command,
            "environment": dict(each.environment),
            "stopwaitsecs": each.stopwaitsecs,
        }
        for each in programs
    ]
    atomic.replace(places.programs, json.dumps({"programs": written, "hosts": hosts}) + "\n")


def second(places: Places) -> list[Program]:
    """What needs an API server that answers."""
    return [_controller_manager(places), _scheduler(places)]


def kubernetes_command(name: str) -> Path:
    return cache.have(go_programs.kubernetes()) / name


def _etcd(places: Places) -> Program:
    return program(
        places, "etcd",
        [cache.have(go_programs.etcd()) / "etcd",
         "--name", "default", "--data-dir", places.home / "etcd",
         "--listen-client-urls", _ETCD, "--advertise-client-urls", _ETCD,
         "--listen-peer-urls", "http://127.0.0.1:2380",
         "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
         "--initial-cluster", "default=http://127.0.0.1:2380",
         "--unsafe-no-fsync", "--log-level", "warn"],
    )  # fmt: skip


def _api_server(places: Places) -> Program:
    pki = places.pki
    found = program(
        places, "kube-apiserver",
        [kubernetes_command("kube-apiserver"),
         "--etcd-servers", _ETCD, "--secure-port", str(pins.API_PORT),
         "--bind-address", "0.0.0.0", "--advertise-address", pins.FIRST_NODE_ADDRESS,
         "--service-cluster-ip-range", pins.SERVICE_NETWORK,
         "--tls-cert-file", pki / "kube-apiserver.crt",
         "--tls-private-key-file", pki / "kube-apiserver.key",
         "--client-ca-file", pki / "ca.crt", "--token-auth-file", identities.tokens(places),
         "--authorization-mode", "Node,RBAC", "--enable-admission-plugins", "NodeRestriction",
         "--service-account-issuer", "https://kubernetes.default.svc",
         "--service-account-key-file", pki / "service-accounts.crt",
         "--service-account-signing-key-file", pki / "service-accounts.key",
         "--kubelet-client-certificate", pki / "apiserver-to-kubelet.crt",
         "--kubelet-client-key", pki / "apiserver-to-kubelet.key",
         # The names of nodes resolve nowhere.
         "--kubelet-preferred-address-types", "InternalIP",
         "--requestheader-client-ca-file", pki / "front-proxy-ca.crt",
         "--requestheader-allowed-names", "front-proxy",
         "--requestheader-username-headers", "X-Remote-User",
         "--requestheader-group-headers", "X-Remote-Group",
         "--requestheader-extra-headers-prefix", "X-Remote-Extra-",
         "--proxy-client-cert-file", pki / "front-proxy.crt",
         "--proxy-client-key-file", pki / "front-proxy.key",
         # What a test needs that plays a cluster with habits of its own.
         "--feature-gates", "MutatingAdmissionPolicy=true",
         "--runtime-config", "admissionregistration.k8s.io/v1beta1=true",
         "--allow-privileged=true"],
    )  # fmt: skip
    # It would refuse connections for as long as it is given, and nodes that cannot report count as
    # lost after 12 s.
    return dataclasses.replace(found, stopwaitsecs=1)


def _controller_manager(places: Places) -> Program:
    pki = places.pki
    return program(
        places, "kube-controller-manager",
        [kubernetes_command("kube-controller-manager"),
         "--kubeconfig", identities.kubeconfig(places, identities.CONTROLLER_MANAGER),
         "--leader-elect=false", "--use-service-account-credentials",
         "--service-account-private-key-file", pki / "service-accounts.key",
         "--root-ca-file", pki / "ca.crt",
         "--cluster-signing-cert-file", pki / "ca.crt",
         "--cluster-signing-key-file", pki / "ca.key",
         # A dead node is known as one in seconds; by default it takes 50.
         "--node-monitor-grace-period", "12s", "--node-monitor-period", "2s"],
    )  # fmt: skip


def _scheduler(places: Places) -> Program:
    kubeconfig = identities.kubeconfig(places, identities.SCHEDULER)
    return program(
        places, "kube-scheduler",
        [kubernetes_command("kube-scheduler"), "--kubeconfig", kubeconfig,
         "--leader-elect=false"],
    )  # fmt: skip


def _minio(places: Places) -> Program:
    """MinIO outside of Kubernetes: S3 for tests that are about something else."""
    user, password = "testbed", secrets.token_urlsafe(24)
    address = f"{pins.FIRST_NODE_ADDRESS}:{pins.S3_PORT}"
    written = {"endpoint": f"http://{address}", "access_key": user, "secret_key": password}
    atomic.replace(places.s3_credentials, json.dumps(written) + "\n")
    return program(
        places, "minio",
        [cache.have(go_programs.minio()) / "minio", "server", places.home / "minio",
         "--address", address, "--quiet"],
        environment={"MINIO_ROOT_USER": user, "MINIO_ROOT_PASSWORD": password,
                     "MINIO_BROWSER": "off", "HOME": str(places.home)},
    )  # fmt: skip
