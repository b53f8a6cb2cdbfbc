"""That the cluster is a real one: each part of it is used for what it is there for."""

import io
import json
import string
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from minio import Minio

from examples import tiny_llama
from resources.errors import PermanentError
from tests.testbed import pins
from tests.testbed.cluster import S3, Cluster

pytestmark = pytest.mark.testbed

PATIENCE_SECONDS = 120.0
SERVING = Path(__file__).with_name("inference_service.yaml")
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: main
      image: {image}
      command: [sh, -c, {command}]
      {more}
"""


def pod(name: str, command: str, more: str = "") -> str:
    text = json.dumps(command)
    return POD.format(name=name, image=pins.BUSYBOX_IMAGE, command=text, more=more)


def until(look: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not look():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.2)


@pytest.fixture
def bucket(s3: S3) -> Iterator[tuple[Minio, str]]:
    """A bucket of one test's own and a client for it."""
    host = s3.endpoint.removeprefix("http://")
    client = Minio(host, s3.access_key, s3.secret_key, secure=False)
    name = f"test-{uuid.uuid4().hex[:8]}"
    client.make_bucket(name)
    yield client, name
    for each in client.list_objects(name, recursive=True):
        client.remove_object(name, each.object_name or "")
    client.remove_bucket(name)


def test_every_node_is_ready(cluster: Cluster) -> None:
    assert cluster.nodes
    for name in cluster.nodes:
        cluster.kubectl.wait(f"node/{name}", "condition=Ready")


def test_a_missing_object_is_an_error_in_the_words_of_the_cluster(cluster: Cluster) -> None:
    with pytest.raises(PermanentError, match="not found"):
        cluster.kubectl.get("pod", "there-is-none")


def test_an_image_that_is_nowhere_does_not_start(cluster: Cluster, namespace: str) -> None:
    text = pod("absent", "true").replace(pins.BUSYBOX_IMAGE, "docker.io/library/nowhere:1")
    cluster.kubectl("apply", "-n", namespace, "-f", "-", text=text)

    def reason() -> str:
        found = cluster.kubectl.get("pod", "absent", "-n", namespace)["status"]
        states = [each["state"] for each in found.get("containerStatuses", [])]
        return str(states[0].get("waiting", {}).get("reason", "")) if states else ""

    until(lambda: reason() in {"ErrImagePull", "ImagePullBackOff"}, "the image is refused")


def test_a_pod_runs_and_answers_exec_and_logs(cluster: Cluster, namespace: str) -> None:
    ask = cluster.kubectl
    text = pod("talker", "echo hello from $HOSTNAME; sleep 3600")
    ask("apply", "-n", namespace, "-f", "-", text=text)
    ask.wait("pod/talker", "condition=Ready", "-n", namespace)
    said = ask("exec", "-n", namespace, "talker", "--", "sh", "-c", "echo $((6 * 7))")
    assert said.strip() == "42"
    assert ask("logs", "-n", namespace, "talker").strip() == "hello from talker"


def test_a_service_has_a_name_and_answers_under_it(cluster: Cluster, namespace: str) -> None:
    ask = cluster.kubectl
    serve = "mkdir /tmp/www; echo found > /tmp/www/index.html; httpd -f -p 8000 -h /tmp/www"
    ask("apply", "-n", namespace, "-f", "-", text=pod("server", serve))
    ask("expose", "-n", namespace, "pod", "server", "--port=80", "--target-port=8000")
    ask("apply", "-n", namespace, "-f", "-", text=pod("client", "sleep 3600"))
    for each in ("server", "client"):
        ask.wait(f"pod/{each}", "condition=Ready", "-n", namespace)
    url = f"http://server.{namespace}.svc.cluster.local/"

    def answer() -> str:
        fetch = f"timeout 5 wget -q -O - {url} || true"
        return ask("exec", "-n", namespace, "client", "--", "sh", "-c", fetch).strip()

    until(lambda: answer() == "found", f"{url} answers")


def test_metrics_of_nodes_and_pods_are_there(cluster: Cluster) -> None:
    path = "/apis/metrics.k8s.io/v1beta1/nodes"

    def measured() -> bool:
        try:
            found = json.loads(cluster.kubectl("get", "--raw", path))
        except PermanentError:
            return False
        return {each["metadata"]["name"] for each in found["items"]} == set(cluster.nodes)

    until(measured, "metrics of every node")


def test_a_claim_binds_and_keeps_what_a_pod_of_any_user_writes(
    cluster: Cluster, namespace: str
) -> None:
    ask = cluster.kubectl
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "kept"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    ask("apply", "-n", namespace, "-f", "-", text=json.dumps(claim))
    ask.wait("pvc/kept", "jsonpath={.status.phase}=Bound", "-n", namespace)
    mount = """securityContext: {runAsUser: 1234}
      volumeMounts: [{name: kept, mountPath: /kept}]
  volumes: [{name: kept, persistentVolumeClaim: {claimName: kept}}]"""
    for name, command in (("writer", "echo 1 > /kept/file"), ("reader", "cat /kept/file")):
        text = pod(name, command, mount).replace("spec:", "spec:\n  restartPolicy: Never", 1)
        ask("apply", "-n", namespace, "-f", "-", text=text)
        ask.wait(f"pod/{name}", "jsonpath={.status.phase}=Succeeded", "-n", namespace)
    assert ask("logs", "-n", namespace, "reader").strip() == "1"


def test_what_is_put_into_s3_is_got_back(bucket: tuple[Minio, str]) -> None:
    client, name = bucket
    client.put_object(name, "a/b", io.BytesIO(b"content"), 7)
    answer = client.get_object(name, "a/b")
    try:
        assert answer.read() == b"content"
    finally:
        answer.close()
        answer.release_conn()


def test_an_inference_service_answers_a_completion(
    cluster: Cluster, namespace: str, s3: S3, bucket: tuple[Minio, str], tmp_path: Path
) -> None:
    client, name = bucket
    tiny_llama.write_checkpoint(tmp_path / "model", seed=1, step=1)
    for path in (tmp_path / "model").iterdir():
        if path.suffix in {".json", ".safetensors", ".jinja"}:
            client.fput_object(name, f"model/{path.name}", str(path))
    ask = cluster.kubectl
    text = string.Template(SERVING.read_text("utf-8")).substitute(
        S3_ADDRESS=s3.endpoint.removeprefix("http://"), ACCESS_KEY=s3.access_key,
        SECRET_KEY=s3.secret_key, MLX_IMAGE=pins.MLX_IMAGE, BUCKET=name,
    )  # fmt: skip
    ask("apply", "-n", namespace, "-f", "-", text=text)
    ask.wait("inferenceservice/tiny", "condition=Ready", "-n", namespace)
    service = ask.get("service", "tiny-predictor", "-n", namespace)["spec"]
    request = {"model": "default_model", "prompt": "Question: ", "max_tokens": 3}
    address = f"http://{service['clusterIP']}:{service['ports'][0]['port']}"
    # A pod is ready a moment before a node sends to it.
    with httpx.Client(transport=httpx.HTTPTransport(retries=5), timeout=60) as caller:
        answer = caller.post(f"{address}/v1/completions", json=request)
    assert answer.status_code == 200, answer.text
    assert answer.json()["usage"]["completion_tokens"] == 3
