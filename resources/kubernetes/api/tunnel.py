"""A byte stream to a port of a pod, through the API server: one WebSocket a connection."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from resources.errors import TransientError
from resources.kubernetes.api.connection import Connection
from resources.kubernetes.api.failures import SYSTEM
from resources.kubernetes.reference import Reference


@contextmanager
def tunnel(connection: Connection, pod: Reference, port: int) -> Iterator[socket.socket]:
    """A socket whose other end is the port of the pod; within, and ended with it.

    Raises TransientError where the API server or the kubelet does not open it.
    """
    from kubernetes.client import ApiClient, CoreV1Api
    from kubernetes.client.exceptions import ApiException
    from kubernetes.stream import portforward

    # The library exchanges a method of the client for the time of the call: nobody else's.
    with ApiClient(connection.configuration) as client:
        action = f"reach port {port} of {pod}"
        try:
            opened = portforward(
                CoreV1Api(client).connect_get_namespaced_pod_portforward,
                pod.name,
                pod.namespace,
                ports=str(port),
            )
        except ApiException as failure:
            reason = " ".join(str(failure.reason).split())[:300]
            raise TransientError(SYSTEM, action, reason) from failure
        # What came with the answer to the handshake lies decrypted where the library's `select`
        # does not see it: a server that speaks first would not be heard. A pong wakes it.
        opened.websocket.ping()
        try:
            # Its own class around it lacks what `select` asks for.
            yield opened.socket(port)._socket
        finally:
            opened.close()
