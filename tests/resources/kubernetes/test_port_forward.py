"""A Service reached through the API server, on the testbed; what is refused, on the double."""

import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resources.errors import NeedsRepair, TransientError
from resources.kubernetes import Kind, Kubernetes, Object, Reference, port_forward, rolled_out
from tests.doubles.kubernetes import ApiServer
from tests.testbed import pins

#: Answers each connection with its name and then whatever it is sent, until that ends.
SCRIPT = """
import os, socketserver
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(os.uname().nodename.encode() + b"\\n")
        while sent := self.request.recv(65536):
            self.request.sendall(sent)
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
Server(("", 7000), Echo).serve_forever()
"""
SERVICE: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "echo"},
    "spec": {"selector": {"app": "echo"}, "ports": [{"port": 70, "targetPort": "talk"}]},
}


def in_namespace(namespace: str, manifest: Object, **spec: Any) -> Object:
    about = {**manifest["metadata"], "namespace": namespace}
    return {**manifest, "metadata": about, "spec": {**manifest["spec"], **spec}}


class TestRefusals:
    @pytest.fixture
    def client(self, api_server: ApiServer, tmp_path: Path) -> Kubernetes:
        return Kubernetes(api_server.kubeconfig(tmp_path))

    def test_a_service_that_is_not_there(self, client: Kubernetes) -> None:
        reference = Reference("v1", "Service", "echo", "default")
        with (
            pytest.raises(NeedsRepair, match="there is no such Service"),
            port_forward(client, reference, 70),
        ):
            pytest.fail("it was opened")

    def test_no_pod_behind_it(self, client: Kubernetes) -> None:
        change = client.apply(in_namespace("default", SERVICE))
        with (
            pytest.raises(TransientError, match="no pod behind it is ready"),
            port_forward(client, change.reference, 70),
        ):
            pytest.fail("it was opened")

    def test_a_port_that_it_lacks(self, client: Kubernetes, api_server: ApiServer) -> None:
        change = client.apply(in_namespace("default", SERVICE))
        api_server.store.put(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": "echo-1",
                    "labels": {"app": "echo"},
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                },
                "spec": {"containers": []},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            }
        )
        with (
            pytest.raises(NeedsRepair, match="it has no port 71"),
            port_forward(client, change.reference, 71),
        ):
            pytest.fail("it was opened")


@pytest.fixture(scope="module")
def echo(kubernetes: Kubernetes) -> Iterator[Reference]:
    """A Service before a pod that tells its name and sends back what it is sent."""
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    about = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    kubernetes.apply(about)
    container = {
        "name": "echo",
        "image": pins.BUSYBOX_IMAGE,
        "command": ["python3", "-c", SCRIPT],
        "ports": [{"name": "talk", "containerPort": 7000}],
        "readinessProbe": {"tcpSocket": {"port": 7000}, "periodSeconds": 1},
    }
    labels = {"app": "echo"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "echo", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
            },
        },
    }
    made = kubernetes.apply(deployment)
    service = kubernetes.apply(in_namespace(namespace, SERVICE))
    kubernetes.wait(made.reference, rolled_out(), timeout_seconds=90)
    yield service.reference
    kubernetes.delete(Reference.of(about))


def talk(port: int, sent: bytes) -> tuple[str, bytes]:
    """The name of the pod, and what came back."""
    connected = socket.create_connection(("127.0.0.1", port), timeout=30)
    with connected as connection, connection.makefile("rb") as lines:
        name = lines.readline().decode().strip()
        sender = threading.Thread(target=connection.sendall, args=(sent,))
        sender.start()
        back = lines.read(len(sent))
        sender.join()
    return name, back


@pytest.mark.testbed
class TestOnTheTestbed:
    def test_bytes_come_back_as_they_were_sent(
        self, kubernetes: Kubernetes, echo: Reference
    ) -> None:
        sent = bytes(range(256)) * 4096
        with port_forward(kubernetes, echo, 70) as port:
            assert talk(port, sent)[1] == sent

    def test_a_server_that_speaks_first_is_heard_each_time(
        self, kubernetes: Kubernetes, echo: Reference
    ) -> None:
        with port_forward(kubernetes, echo, 70) as port:
            for _ in range(40):
                with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                    assert connection.recv(1)

    def test_one_connection_follows_another(self, kubernetes: Kubernetes, echo: Reference) -> None:
        with port_forward(kubernetes, echo, 70) as port:
            assert [talk(port, each)[1] for each in (b"one", b"two")] == [b"one", b"two"]

    def test_it_goes_on_with_the_pod_that_comes_next(
        self, kubernetes: Kubernetes, echo: Reference
    ) -> None:
        with port_forward(kubernetes, echo, 70) as port:
            first, _ = talk(port, b"1")
            kubernetes.delete(Reference("v1", "Pod", first, echo.namespace), wait_seconds=60)
            until_ready(kubernetes, echo)
            second, _ = talk(port, b"2")
        assert first != second

    def test_nothing_is_left_behind_it(self, kubernetes: Kubernetes, echo: Reference) -> None:
        with port_forward(kubernetes, echo, 70) as port:
            lingering = socket.create_connection(("127.0.0.1", port), timeout=30)
            lingering.recv(1)
        with lingering:
            assert lingering.makefile("rb").read() is not None
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        names = [each.name for each in threading.enumerate() if each.name.startswith("forward")]
        assert names == []


def until_ready(kubernetes: Kubernetes, echo: Reference) -> None:
    deployment = Reference("apps/v1", "Deployment", "echo", echo.namespace)
    kubernetes.wait(deployment, rolled_out(), timeout_seconds=60)
    deadline = time.monotonic() + 30
    pods: list[Object] = []
    while len(pods) != 1 and time.monotonic() < deadline:
        found = kubernetes.listed(Kind("v1", "Pod"), namespace=echo.namespace)
        pods = [each for each in found if "deletionTimestamp" not in each["metadata"]]
