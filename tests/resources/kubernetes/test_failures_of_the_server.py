"""What a failing API server, a wrong kubeconfig or a cut connection become."""

import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from resources.errors import NeedsRepair, PermanentError, TransientError, UsageError
from resources.kubernetes import Kind, Kubernetes, Object, Reference, condition, exists
from tests.doubles.kubernetes import ApiServer, kubeconfig
from tests.resources.kubernetes.cluster_contract import config_map, later

REFERENCE = Reference("v1", "ConfigMap", "plain", "default")


@pytest.fixture
def cluster(api_server: ApiServer, tmp_path: Path) -> Kubernetes:
    """One that has seen the server, so that what fails next is the call itself."""
    client = Kubernetes(api_server.kubeconfig(tmp_path), retry_seconds=2)
    client.get(REFERENCE)
    return client


def impatient(path: Path) -> Kubernetes:
    return Kubernetes(path, retry_seconds=0)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "kind: Config\nclusters: 3\n", "kind: Config\ncurrent-context: none\n"],
)
def test_a_kubeconfig_that_is_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text, "utf-8")
    with pytest.raises(NeedsRepair, match="could not use") as caught:
        impatient(path).get(REFERENCE)
    assert "kubectl" in str(caught.value.hint)


def test_no_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(NeedsRepair):
        impatient(tmp_path / "absent").get(REFERENCE)


def test_no_pod_to_be_in() -> None:
    with pytest.raises(NeedsRepair, match="the account of this pod"):
        Kubernetes().get(REFERENCE)


def test_a_context_that_is_not_there(api_server: ApiServer, tmp_path: Path) -> None:
    client = Kubernetes(api_server.kubeconfig(tmp_path), context="other")
    with pytest.raises(NeedsRepair, match="other"):
        client.get(REFERENCE)


def test_a_port_where_nothing_listens(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig("http://127.0.0.1:1"), "utf-8")
    with pytest.raises(TransientError, match="does not answer") as caught:
        impatient(path).get(REFERENCE)
    assert "kubeconfig" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "not an API server"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe", "not an API server"),
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 2\r\n\r\n\xff\xfe", "could not get"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}", "does not answer"),
        (b"no HTTP at all\r\n\r\n", "does not answer"),
        (b"", "does not answer"),
    ],
)
def test_what_answers_is_no_api_server(reply: bytes, reason: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        path = tmp_path / "kubeconfig"
        path.write_text(kubeconfig(f"http://127.0.0.1:{listener.getsockname()[1]}"), "utf-8")
        thread = threading.Thread(target=_reply, args=(listener, reply))
        thread.start()
        with pytest.raises(TransientError, match=reason):
            impatient(path).get(REFERENCE)
        thread.join()


def test_a_certificate_of_somebody_else(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         "/CN=localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        path = tmp_path / "kubeconfig"
        path.write_text(kubeconfig(f"https://127.0.0.1:{listener.getsockname()[1]}"), "utf-8")
        thread = threading.Thread(target=_shake_hands, args=(listener, context))
        thread.start()
        with pytest.raises(NeedsRepair, match="certificate of the API server") as caught:
            Kubernetes(path).get(REFERENCE)
        thread.join()
    assert "certificate-authority" in str(caught.value.hint)


def test_a_handshake_that_is_cut_off(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        path = tmp_path / "kubeconfig"
        path.write_text(kubeconfig(f"https://127.0.0.1:{listener.getsockname()[1]}"), "utf-8")
        thread = threading.Thread(target=_reply, args=(listener, b""))
        thread.start()
        with pytest.raises(TransientError, match="does not answer"):
            impatient(path).get(REFERENCE)
        thread.join()


def _shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = listener.accept()
    # The client turns away.
    with connection, suppress(OSError):
        context.wrap_socket(connection, server_side=True).close()


def _reply(listener: socket.socket, reply: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(reply)


def test_a_token_that_is_refused(api_server: ApiServer, cluster: Kubernetes) -> None:
    api_server.token = "another"
    with pytest.raises(NeedsRepair, match="Unauthorized") as caught:
        cluster.get(REFERENCE)
    assert "credentials" in str(caught.value.hint)


def test_a_right_that_is_missing(api_server: ApiServer, cluster: Kubernetes) -> None:
    api_server.forbidden.add("configmaps")
    with pytest.raises(NeedsRepair, match="forbidden") as caught:
        cluster.get(REFERENCE)
    assert "Role" in str(caught.value.hint)


def test_a_webhook_that_denies(api_server: ApiServer, cluster: Kubernetes) -> None:
    api_server.store.admission = lambda _: "PYTHONPATH is not allowed"
    with pytest.raises(PermanentError, match="PYTHONPATH is not allowed") as caught:
        cluster.apply(config_map("default"))
    assert "webhook" in str(caught.value.hint)


def test_a_webhook_that_quotes_a_secret(api_server: ApiServer, cluster: Kubernetes) -> None:
    api_server.store.admission = lambda found: f"do not say {found['data']}"
    with pytest.raises(PermanentError, match="withheld") as caught:
        cluster.apply({**config_map("default", password="aHVudGVyMg=="), "kind": "Secret"})
    assert "aHVudGVyMg" not in str(caught.value)


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_server_that_recovers(code: int, api_server: ApiServer, cluster: Kubernetes) -> None:
    api_server.fail(code, "etcdserver: leader changed", times=2)
    assert cluster.apply(config_map("default")).outcome == "created"


def test_a_connection_that_is_cut(api_server: ApiServer, cluster: Kubernetes) -> None:
    api_server.drop(2)
    assert cluster.apply(config_map("default")).outcome == "created"


def test_a_server_that_does_not_recover(api_server: ApiServer, tmp_path: Path) -> None:
    api_server.fail(503, "the server is currently unable to handle the request", times=50)
    with pytest.raises(TransientError, match="currently unable"):
        Kubernetes(api_server.kubeconfig(tmp_path), retry_seconds=0.5).get(REFERENCE)


def test_what_the_server_asks_for_is_waited(api_server: ApiServer, cluster: Kubernetes) -> None:
    api_server.fail(429, Retry_After="1")
    began = time.monotonic()
    cluster.get(REFERENCE)
    assert time.monotonic() - began >= 1


def test_a_pause_beyond_our_patience_is_not_made(
    api_server: ApiServer, cluster: Kubernetes
) -> None:
    api_server.fail(429, Retry_After="3600")
    with pytest.raises(TransientError):
        cluster.get(REFERENCE)


def test_a_fault_of_the_manifest_is_not_tried_again(
    api_server: ApiServer, cluster: Kubernetes
) -> None:
    before = len(api_server.requests)
    with pytest.raises(PermanentError):
        cluster.apply({**config_map("default"), "dat": {}})
    assert [each.split()[0] for each in api_server.requests[before:]] == ["GET", "PATCH"]


def test_names_never_leave_their_place_in_the_path() -> None:
    for name in ("../secrets/x", "a/b", "a?b", "%2e", ""):
        with pytest.raises(UsageError, match="cannot be the name"):
            Reference("v1", "ConfigMap", name, "default")


def test_a_wait_outlives_an_expired_watch(api_server: ApiServer, cluster: Kubernetes) -> None:
    timers = [
        later(0.2, api_server.store.compact),
        later(0.6, cluster.apply, config_map("default")),
    ]
    assert cluster.wait(REFERENCE, exists(), timeout_seconds=30)
    for each in timers:
        each.join()


def test_a_wait_outlives_a_watch_that_the_server_ends(
    api_server: ApiServer, cluster: Kubernetes
) -> None:
    timers = [later(0.2, api_server.end_watches), later(0.6, cluster.apply, config_map("default"))]
    assert cluster.wait(REFERENCE, exists(), timeout_seconds=30)
    for each in timers:
        each.join()


def test_a_wait_outlives_a_server_that_is_away(api_server: ApiServer, cluster: Kubernetes) -> None:
    api_server.drop(4)
    timer = later(0.2, api_server.store.put, config_map("default"))
    assert cluster.wait(REFERENCE, exists(), timeout_seconds=30)
    timer.join()


def test_a_wait_on_a_server_that_stays_away_says_so(
    api_server: ApiServer, cluster: Kubernetes
) -> None:
    api_server.drop(100)
    with pytest.raises(TransientError, match="does not answer"):
        cluster.wait(REFERENCE, exists(), timeout_seconds=0.5)


def test_a_wait_ends_in_time_where_much_happens(api_server: ApiServer, cluster: Kubernetes) -> None:
    api_server.store.put(config_map("default"))
    done = threading.Event()

    def change() -> None:
        for number in range(10_000):
            if done.wait(0.01):
                return
            api_server.store.put(config_map("default", number=str(number)))

    thread = threading.Thread(target=change)
    thread.start()
    with pytest.raises(TransientError, match="Ready=True within"):
        cluster.wait(REFERENCE, condition("Ready"), timeout_seconds=0.5)
    done.set()
    thread.join()


def test_long_lists_come_in_pages(api_server: ApiServer, cluster: Kubernetes) -> None:
    for number in range(1201):
        api_server.store.put(config_map("default", f"number-{number}"))
    assert len(cluster.listed(Kind("v1", "ConfigMap"), namespace="default")) == 1201


def test_a_list_whose_next_page_expired_begins_anew(
    api_server: ApiServer, cluster: Kubernetes
) -> None:
    for number in range(501):
        api_server.store.put(config_map("default", f"number-{number}"))
    api_server.expire_pages = 1
    assert len(cluster.listed(Kind("v1", "ConfigMap"), namespace="default")) == 501


def test_the_last_lines_of_a_log_are_read(api_server: ApiServer, cluster: Kubernetes) -> None:
    api_server.logs["web/server"] = "one\ntwo\nthree\n"
    pod = Reference("v1", "Pod", "web", "default")
    assert cluster.log_tail(pod, container="server", lines=2) == "two\nthree\n"


def test_a_wait_quotes_the_log_of_a_crashing_pod(
    api_server: ApiServer, cluster: Kubernetes
) -> None:
    labels = {"app": "web"}
    store = api_server.store
    store.put(_deployment(labels))
    store.put(_crashing(labels))
    api_server.logs["web-1/server"] = "loading\nRuntimeError: no GPU\n"
    with pytest.raises(TransientError, match=r"server of pod web-1 .*exit status 1.*no GPU"):
        cluster.wait(
            Reference("apps/v1", "Deployment", "web", "default"), condition("Available"),
            timeout_seconds=0.2,
        )  # fmt: skip


def _deployment(labels: dict[str, str]) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}},
    }


def _crashing(labels: dict[str, str]) -> Object:
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    last = {"terminated": {"exitCode": 1, "reason": "Error"}}
    status = {"name": "server", "restartCount": 3, "state": state, "lastState": last}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-1", "namespace": "default", "labels": labels},
        "status": {"containerStatuses": [status]},
    }
