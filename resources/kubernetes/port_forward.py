"""A Service reached from outside the cluster with nothing but a kubeconfig.

Each connection to a loopback port goes to a pod that is ready at that moment, so that pods may be
made anew meanwhile. For checks and commands, not for load: every byte passes the API server.
"""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from resources.errors import ExternalError, NeedsRepair, TransientError
from resources.kubernetes.api.failures import SYSTEM
from resources.kubernetes.api.tunnel import tunnel
from resources.kubernetes.client import Kubernetes
from resources.kubernetes.conditions import condition_of
from resources.kubernetes.reference import Kind, Object, Reference

_POD = Kind("v1", "Pod")
_CHUNK = 1 << 16
_END_SECONDS = 5.0


@contextmanager
def port_forward(cluster: Kubernetes, service: Reference, port: int) -> Iterator[int]:
    """Within, the loopback port that leads to `port` of the Service.

    Raises TransientError where no pod behind it is ready, with the cluster's reason, NeedsRepair
    where there is no such Service or port.
    """
    _target(cluster, service, port)
    relay = _Relay(cluster, service, port)
    try:
        yield relay.port
    finally:
        relay.close()


class _Relay:
    """Listens, and carries bytes until it is closed."""

    def __init__(self, cluster: Kubernetes, service: Reference, port: int) -> None:
        self._cluster = cluster
        self._service = service
        self._wanted = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._closing, self._woken = socket.socketpair()
        self._threads = [threading.Thread(target=self._accept, name=f"forward-{port}")]
        self._threads[0].start()

    def close(self) -> None:
        """End every connection; returns once none is left."""
        self._closing.close()
        for each in self._threads:
            each.join(_END_SECONDS)
        self._woken.close()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            ready, _, _ = select.select([self._listener, self._woken], [], [])
            if self._woken in ready:
                return
            accepted, _ = self._listener.accept()
            thread = threading.Thread(target=self._serve, args=(accepted,), name="forwarded")
            self._threads.append(thread)
            thread.start()

    def _serve(self, accepted: socket.socket) -> None:
        # Who connected sees it end, as with a server that went away.
        with accepted, suppress(ExternalError, OSError):
            pod, number = _target(self._cluster, self._service, self._wanted)
            with tunnel(self._cluster.connection, pod, number) as inside:
                self._carry(accepted, inside)

    def _carry(self, outside: socket.socket, inside: socket.socket) -> None:
        other = {outside: inside, inside: outside}
        while True:
            ready, _, _ = select.select([outside, inside, self._woken], [], [])
            if self._woken in ready:
                return
            for each in ready:
                chunk = each.recv(_CHUNK)
                if not chunk:
                    return
                other[each].sendall(chunk)


def _target(cluster: Kubernetes, service: Reference, port: int) -> tuple[Reference, int]:
    """A ready pod behind the Service, the newest, and the number of its port."""
    action = f"reach {service}"
    found = cluster.get(service)
    if found is None:
        reason = "there is no such Service"
        raise NeedsRepair(SYSTEM, action, reason, hint="`ai-how services apply` makes it")
    selector = found["spec"].get("selector") or {}
    pods = cluster.listed(_POD, namespace=service.namespace, labels=selector) if selector else []
    ready = [each for each in pods if _is_ready(each)]
    if not ready:
        reason = f"no pod behind it is ready: {cluster.why(service)}"
        raise TransientError(SYSTEM, action, reason)
    newest = max(ready, key=lambda each: str(each["metadata"]["creationTimestamp"]))
    pod = Reference("v1", "Pod", newest["metadata"]["name"], service.namespace)
    return pod, _pod_port(found, newest, port, action)


def _is_ready(pod: Object) -> bool:
    leaving = "deletionTimestamp" in pod["metadata"]
    return not leaving and condition_of(pod, "Ready").get("status") == "True"


def _pod_port(service: Object, pod: Object, port: int, action: str) -> int:
    wanted = next((each for each in service["spec"]["ports"] if each["port"] == port), None)
    if wanted is None:
        raise NeedsRepair(SYSTEM, action, f"it has no port {port}", hint="correct the port")
    target = wanted.get("targetPort", port)
    named = {
        each.get("name"): each["containerPort"]
        for container in pod["spec"]["containers"]
        for each in container.get("ports") or ()
    }
    return int(named.get(target, target) if isinstance(target, str) else target)
