"""What only a real cluster shows: rollouts, pods that fail in all the ways they do, webhooks."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from resources.errors import PermanentError, TransientError
from resources.kubernetes import (
    Condition,
    Kind,
    Kubernetes,
    Object,
    Reference,
    apply_all,
    condition,
    members,
    rolled_out,
)
from tests.testbed import pins

pytestmark = pytest.mark.testbed

#: Where no registry listens, so that nothing is asked of the network.
ABSENT = "127.0.0.1:1/absent:1"
STAYS = ["sh", "-c", "trap 'exit 0' TERM; echo up; while true; do sleep 0.2; done"]


@pytest.fixture
def namespace(kubernetes: Kubernetes) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    about = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    kubernetes.apply(about)
    yield name
    kubernetes.delete(Reference.of(about))


def deployment(
    namespace: str, command: list[str], *, image: str = pins.BUSYBOX_IMAGE, replicas: int = 1,
    **more: Any,
) -> Object:  # fmt: skip
    container = {"name": "server", "image": image, "command": command, **more}
    labels = {"app": "web"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 2},
            },
        },
    }


def reason(cluster: Kubernetes, reference: Reference, part: str) -> str:
    """The sentence, once it has the part; the last one where it never does."""
    deadline = time.monotonic() + 90
    while True:
        told = cluster.why(reference)
        if part in told or time.monotonic() > deadline:
            return told
        time.sleep(0.3)


def test_a_rollout_is_waited_for(kubernetes: Kubernetes, namespace: str) -> None:
    made = kubernetes.apply(deployment(namespace, STAYS, replicas=2))
    found = kubernetes.wait(made.reference, rolled_out(), timeout_seconds=90)
    assert found is not None
    assert found["status"]["availableReplicas"] == 2
    assert kubernetes.apply(deployment(namespace, STAYS, replicas=2)).outcome == "unchanged"


def test_a_second_rollout_is_not_taken_for_the_first(
    kubernetes: Kubernetes, namespace: str
) -> None:
    reference = kubernetes.apply(deployment(namespace, STAYS)).reference
    kubernetes.wait(reference, rolled_out(), timeout_seconds=90)
    kubernetes.apply(deployment(namespace, STAYS, env=[{"name": "NEW", "value": "1"}]))
    kubernetes.wait(reference, rolled_out(), timeout_seconds=90)
    pods = kubernetes.listed(Kind("v1", "Pod"), namespace=namespace, labels={"app": "web"})
    new = [each for each in pods if each["spec"]["containers"][0].get("env")]
    assert [each["status"]["phase"] for each in new] == ["Running"]


def test_a_deployment_goes_with_its_pods(kubernetes: Kubernetes, namespace: str) -> None:
    reference = kubernetes.apply(deployment(namespace, STAYS)).reference
    kubernetes.wait(reference, rolled_out(), timeout_seconds=90)
    kubernetes.delete(reference, wait_seconds=60)
    assert kubernetes.listed(Kind("v1", "Pod"), namespace=namespace) == []


def test_the_log_of_a_pod_is_read(kubernetes: Kubernetes, namespace: str) -> None:
    reference = kubernetes.apply(deployment(namespace, STAYS)).reference
    kubernetes.wait(reference, rolled_out(), timeout_seconds=90)
    pod = Reference.of(kubernetes.listed(Kind("v1", "Pod"), namespace=namespace)[0])
    assert kubernetes.log_tail(pod) == "up\n"


def test_an_image_that_is_not_there(kubernetes: Kubernetes, namespace: str) -> None:
    manifest = deployment(namespace, STAYS, image=ABSENT)
    told = reason(kubernetes, kubernetes.apply(manifest).reference, f"{ABSENT}: ")
    assert "container server of pod web-" in told
    assert f"cannot have its image {ABSENT}" in told


def test_a_program_that_fails(kubernetes: Kubernetes, namespace: str) -> None:
    manifest = deployment(namespace, ["sh", "-c", "echo the cause >&2; exit 3"])
    reference = kubernetes.apply(manifest).reference
    told = reason(kubernetes, reference, "the cause")
    assert "ended with exit status 3" in told
    assert told.endswith("its last words: the cause")
    with pytest.raises(TransientError, match="the cause"):
        kubernetes.wait(reference, condition("Available"), timeout_seconds=1)


def test_a_program_out_of_memory(kubernetes: Kubernetes, namespace: str) -> None:
    limits = {"limits": {"memory": "20Mi"}, "requests": {"memory": "20Mi"}}
    manifest = deployment(namespace, ["tail", "/dev/zero"], resources=limits)
    told = reason(kubernetes, kubernetes.apply(manifest).reference, "OOMKilled")
    assert "was killed for using more memory than its limit" in told


def test_a_pod_that_no_node_takes(kubernetes: Kubernetes, namespace: str) -> None:
    limits = {"limits": {"nvidia.com/gpu": "16"}}
    manifest = deployment(namespace, STAYS, resources=limits)
    told = reason(kubernetes, kubernetes.apply(manifest).reference, "no node takes")
    assert "no node has any nvidia.com/gpu" in told


def test_a_secret_that_is_not_there(kubernetes: Kubernetes, namespace: str) -> None:
    source = {"secretRef": {"name": "absent"}}
    manifest = deployment(namespace, STAYS, envFrom=[source])
    told = reason(kubernetes, kubernetes.apply(manifest).reference, "cannot start")
    assert "cannot start (CreateContainerConfigError)" in told
    assert 'secret "absent" not found' in told


def test_a_probe_that_fails(kubernetes: Kubernetes, namespace: str) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    manifest = deployment(namespace, STAYS, readinessProbe=probe)
    told = reason(kubernetes, kubernetes.apply(manifest).reference, "Readiness probe failed")
    assert "Readiness probe failed" in told


def apply_quota(kubernetes: Kubernetes, namespace: str) -> None:
    """No pods at all."""
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    kubernetes.apply(quota)
    in_force = Condition("in force", lambda found: bool(found and found.get("status")))
    kubernetes.wait(Reference.of(quota), in_force, timeout_seconds=30)


def test_a_quota_that_is_used_up(kubernetes: Kubernetes, namespace: str) -> None:
    apply_quota(kubernetes, namespace)
    told = reason(kubernetes, kubernetes.apply(deployment(namespace, STAYS)).reference, "quota")
    assert "exceeded quota: none" in told


def test_what_controllers_make_is_not_of_the_set(kubernetes: Kubernetes, namespace: str) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }
    apply_all(kubernetes, [service, deployment(namespace, STAYS)], part_of=namespace)
    kubernetes.wait(
        Reference("apps/v1", "Deployment", "web", namespace), rolled_out(), timeout_seconds=90
    )
    found = members(kubernetes, namespace)
    assert sorted(each["kind"] for each in found) == ["Deployment", "Service"]


def test_kserve_refuses_a_runtime_with_its_own_words(
    kubernetes: Kubernetes, namespace: str
) -> None:
    container = {"name": "kserve-container", "image": "example/server:1",
                 "env": [{"name": "PYTHONPATH", "value": "/x"}]}  # fmt: skip
    runtime = {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": {"name": "bad", "namespace": namespace},
        "spec": {"containers": [container], "supportedModelFormats": [{"name": "x"}]},
    }
    with pytest.raises(PermanentError, match="PYTHONPATH") as caught:
        kubernetes.apply(runtime)
    assert "webhook" in str(caught.value.hint)


def inference_service(namespace: str, **predictor: Any) -> Object:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"predictor": predictor},
    }


def custom(image: str) -> Object:
    return {"name": "kserve-container", "image": image, "command": STAYS}


def test_the_pods_of_an_inference_service_are_asked(kubernetes: Kubernetes, namespace: str) -> None:
    service = inference_service(namespace, containers=[custom(ABSENT)])
    reference = kubernetes.apply(service).reference
    told = reason(kubernetes, reference, "cannot have its image")
    assert "container kserve-container of pod web-predictor-" in told


def test_the_download_of_a_model_is_asked(kubernetes: Kubernetes, namespace: str) -> None:
    container = {
        **custom(pins.BUSYBOX_IMAGE),
        "env": [{"name": "STORAGE_URI", "value": "s3://absent/model/"}],
    }
    reference = kubernetes.apply(inference_service(namespace, containers=[container])).reference
    told = reason(kubernetes, reference, "its last words")
    assert told.startswith("init container storage-initializer of pod web-predictor-")


def test_the_quota_that_stops_an_inference_service_is_told(
    kubernetes: Kubernetes, namespace: str
) -> None:
    apply_quota(kubernetes, namespace)
    service = inference_service(namespace, containers=[custom(pins.BUSYBOX_IMAGE)])
    reference = kubernetes.apply(service).reference
    assert "exceeded quota: none" in reason(kubernetes, reference, "quota")


def test_a_missing_runtime_is_told_by_its_event(kubernetes: Kubernetes, namespace: str) -> None:
    model = {
        "modelFormat": {"name": "none-such"},
        "runtime": "absent",
        "storageUri": "s3://bucket/model/",
    }
    service = inference_service(namespace, model=model)
    told = reason(kubernetes, kubernetes.apply(service).reference, "absent")
    assert "absent" in told
