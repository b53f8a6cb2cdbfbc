"""A store, a runtime or a policy of the cluster that is out of order, through the whole platform.

Each test leaves a champion that answers, and needs one. Where pods and nodes are the trouble is
`test_kserve_failures`' business.
"""

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from cloud_assets.stages import INFERENCE_SERVICE, MODEL_ARTIFACT
from resources.errors import PermanentError
from resources.kserve import KServe, manifests
from resources.kubernetes import Reference
from tests.doubles.embedded_platform import EmbeddedPlatform
from tests.doubles.kserve_platform import (
    again,
    answering,
    backend_of,
    platform_on,
    policy,
    serves,
    told,
)
from tests.doubles.s3_account import Account
from tests.testbed.cluster import S3, Cluster

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(1800)]
#: Enough for a start, and what the test of one that does not come waits for.
START_SECONDS = 30
#: What a model server asks for, so that no more is a limit that is possible.
CPU = "20m"


@pytest.fixture(scope="module")
def account(cluster: Cluster, s3: S3) -> Iterator[Account]:
    if cluster.places is None:
        pytest.skip("the S3 server is somebody else's")
    made = Account(s3)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def platform(
    cluster: Cluster, account: Account, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedPlatform]:
    """With a champion."""
    home = tmp_path_factory.mktemp("home")
    with platform_on(cluster, account.s3, home, timeout_seconds=START_SECONDS, cpu=CPU) as started:
        serves(started, started.drop("first", seed=1))
        yield started


@pytest.fixture
def backend(cluster: Cluster, platform: EmbeddedPlatform) -> KServe:
    return backend_of(platform, cluster)


def held(platform: EmbeddedPlatform, key: str, words: str, fix: str) -> str:
    """The whole reason for which the checkpoint is held, as graph and command say it."""
    found = told(platform, key, "held", words)
    assert fix in found.fix
    newest = platform.releases(key)[0].metadata
    assert newest["outcome"] == "held"
    assert newest["reasons"] == [found.reason]
    assert words in platform.ai_how("checkpoints").stdout
    assert platform.champion() != key
    return found.reason


def test_a_runtime_that_is_deleted_under_a_candidate_is_made_anew_by_the_next_try(
    platform: EmbeddedPlatform, backend: KServe, cluster: Cluster
) -> None:
    runtimes = ("servingruntimes", "--namespace", backend.site.namespace)
    with answering(backend):
        key = platform.drop("runtime", seed=2)
        platform.until(lambda: [each for each in backend.slots() if each.key == key])
        [runtime] = cluster.kubectl.get(*runtimes)["items"]
        cluster.kubectl("delete", *runtimes, "--all")
        told(platform, key, "running", runtime["metadata"]["name"])
        serves(platform, key)
    assert len(platform.runs(key)) == 1


@contextmanager
def search_path_given(cluster: Cluster, namespace: str) -> Iterator[None]:
    """Within, a policy of the cluster gives every runtime a variable that KServe refuses."""
    name, group = f"{namespace}-search-path", "admissionregistration.k8s.io"
    variable = '{"name": "PYTHONPATH", "value": "/opt/site"}'
    added = f'[JSONPatch{{op: "add", path: "/spec/containers/0/env/-", value: {variable}}}]'
    rule = {
        "apiGroups": ["serving.kserve.io"],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["servingruntimes"],
    }
    here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    specs = {
        "MutatingAdmissionPolicy": {
            "matchConstraints": {"resourceRules": [rule]},
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": added}}],
            "reinvocationPolicy": "Never",
        },
        "MutatingAdmissionPolicyBinding": {
            "policyName": name,
            "matchResources": {"namespaceSelector": here},
        },
    }
    for kind, spec in specs.items():
        about = {"apiVersion": f"{group}/v1beta1", "kind": kind, "metadata": {"name": name}}
        cluster.kubectl.apply(json.dumps({**about, "spec": spec}))
    try:
        yield
    finally:
        cluster.kubectl("delete", *(f"{kind}.{group}/{name}" for kind in specs))


def is_refused(cluster: Cluster, namespace: str) -> bool:
    """Whether a change to a runtime would be: a policy is in force a moment after it is there."""
    change = ("servingruntimes", "--all", "tried=now", "--namespace", namespace)
    try:
        cluster.kubectl("label", *change, "--dry-run=server")
    except PermanentError as error:
        return "PYTHONPATH" in error.reason
    return False


def test_what_kserves_webhook_refuses_holds_the_candidate_until_it_is_taken_back(
    platform: EmbeddedPlatform, backend: KServe, cluster: Cluster
) -> None:
    namespace = backend.site.namespace
    with answering(backend):
        with search_path_given(cluster, namespace):
            platform.until(lambda: is_refused(cluster, namespace))
            key = platform.drop("webhook", seed=3)
            reason = held(platform, key, "PYTHONPATH", "webhook")
            assert reason.startswith(INFERENCE_SERVICE)
        platform.until(lambda: not is_refused(cluster, namespace))
        again(platform, key)
        serves(platform, key)


def test_a_model_server_that_does_not_become_healthy_is_held_until_it_has_what_it_needs(
    platform: EmbeddedPlatform, backend: KServe
) -> None:
    limit = {"type": "Container", "default": {"cpu": CPU}}
    with answering(backend):
        with policy(backend, "LimitRange", {"limits": [limit]}):
            key = platform.drop("starved", seed=4)
            reason = held(platform, key, "Startup probe failed", "serving.timeout_seconds")
            assert reason.startswith(INFERENCE_SERVICE)
        again(platform, key)
        serves(platform, key)


@contextmanager
def spoilt_once_published(
    platform: EmbeddedPlatform, backend: KServe, key: str, spoilt: AbstractContextManager[None]
) -> Iterator[None]:
    """Within, the store is spoilt, since a further run was about to have its pod.

    What publishes would meet it first; so the pod is held back until then.
    """
    with ExitStack() as stack:
        with policy(backend, "ResourceQuota", {"hard": {"pods": "0"}}):
            again(platform, key)
            platform.until(lambda: [each for each in backend.slots() if each.key == key])
            stack.enter_context(spoilt)
        yield


def test_a_store_that_takes_other_keys_holds_the_candidate_until_it_takes_ours(
    platform: EmbeddedPlatform, backend: KServe, account: Account
) -> None:
    with answering(backend):
        with account.key_exchanged():
            key = platform.drop("keys", seed=5)
            reason = held(platform, key, "access denied", "credentials")
            assert reason.startswith(MODEL_ARTIFACT)
        with spoilt_once_published(platform, backend, key, account.key_exchanged()):
            reason = held(platform, key, "storage-initializer", "credentials")
            assert re.search("403|Forbidden", reason)
        again(platform, key)
        serves(platform, key)


def test_a_bucket_that_is_gone_holds_the_candidate_until_it_is_back(
    platform: EmbeddedPlatform, backend: KServe, account: Account
) -> None:
    bucket = backend.site.namespace
    with answering(backend):
        with account.bucket_gone(bucket):
            key = platform.drop("bucket", seed=6)
            reason = held(platform, key, "no such bucket", "create it")
            assert reason.startswith(MODEL_ARTIFACT)
        with spoilt_once_published(platform, backend, key, account.bucket_gone(bucket)):
            reason = held(platform, key, "storage-initializer", "bucket")
            assert re.search("404|not exist", reason)
        again(platform, key)
        serves(platform, key)


def delete_credentials(backend: KServe) -> None:
    backend.cluster.delete(Reference("v1", "Secret", manifests.SECRET, backend.site.namespace))


def test_credentials_that_somebody_deletes_are_made_anew_for_the_next_checkpoint(
    platform: EmbeddedPlatform, backend: KServe
) -> None:
    with answering(backend):
        delete_credentials(backend)
        serves(platform, platform.drop("secret", seed=7))


def test_credentials_that_go_before_the_pod_comes_are_made_anew_while_it_waits(
    platform: EmbeddedPlatform, backend: KServe
) -> None:
    with answering(backend):
        with policy(backend, "ResourceQuota", {"hard": {"pods": "0"}}):
            key = platform.drop("late", seed=8)
            platform.until(lambda: [each for each in backend.slots() if each.key == key])
            delete_credentials(backend)
        serves(platform, key)
