"""A load test from inside the cluster: a Job of load clients that report through Dagster Pipes.

A Job of our own rather than the pod of `PipesK8sClient`: it has several clients and a deadline, and
the cluster removes it even where this process is killed.
"""

import base64
import gzip
import json
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import dagster as dg

from resources.errors import PermanentError, TransientError
from resources.kubernetes import Condition, Kind, Kubernetes, Object, Reference
from resources.kubernetes.conditions import condition_of
from resources.load.pipes_log import LogMessages
from resources.load.pod_program import MOUNT, PLAN, joined
from resources.load.rows import from_object
from resources.load.run import SYSTEM, ClientFacts, LoadPlan, LoadResult
from resources.load.shares import share, together

_INDEX = "batch.kubernetes.io/job-completion-index"
_JOB_NAME = "batch.kubernetes.io/job-name"
#: From the Job to the first request of several clients, which begin together.
START_SECONDS = 30.0
#: For the pods to be placed, and to have their image.
_PLACING_SECONDS = 120.0
#: A ConfigMap holds a mebibyte, of base64.
_LARGEST_PLAN = 700_000
_KEPT_SECONDS = 300
_GRACE_SECONDS = 60.0
_FINISHED = ("Complete", "Failed")


@dataclass(frozen=True)
class LoadPods:
    """What the clients run as; `cpu` and `memory` are what each asks for."""

    namespace: str
    image: str
    workers: int = 1
    cpu: str = "1"
    memory: str = "512Mi"


def run_in_pods(
    plan: LoadPlan, context: dg.AssetExecutionContext, *, cluster: Kubernetes, pods: LoadPods
) -> LoadResult:
    """As `run.run_load`, from pods: several of them begin at the same moment.

    Raises TransientError with the cluster's reason where they do not finish, PermanentError for a
    plan that is too large to be handed over.
    """
    if pods.workers > 1:
        plan = replace(plan, start_at=time.time() + START_SECONDS)
    zipped = _zipped(plan)
    messages = LogMessages(pods.workers)
    name = f"ai-how-load-{uuid.uuid4().hex[:8]}"
    with dg.open_pipes_session(
        context=context,
        context_injector=dg.PipesEnvContextInjector(),
        message_reader=messages,
        extras={"clients": pods.workers},
    ) as session:
        deadline = _PLACING_SECONDS + START_SECONDS + plan.longest_seconds
        job = job_manifest(name, pods, session.get_bootstrap_env_vars(), deadline=deadline)
        reference = Reference.of(job)
        try:
            cluster.apply(job)
            cluster.apply(plan_manifest(name, pods.namespace, zipped, cluster.get(reference)))
            _wait(cluster, reference, deadline)
            messages.read([cluster.log(pod) for pod in _pods(cluster, reference)])
        finally:
            cluster.delete(reference)
    return _result(plan, pods.workers, session.get_custom_messages())


def job_manifest(
    name: str, pods: LoadPods, environment: Mapping[str, str], *, deadline: float
) -> Object:
    """A Job of as many pods as there are clients; it goes by itself, and so does what it owns."""
    container = {
        "name": "load-client",
        "image": pods.image,
        "command": ["python3", "-m", "resources.load.pod_program"],
        "env": [{"name": each, "value": value} for each, value in sorted(environment.items())],
        "resources": {"requests": {"cpu": pods.cpu, "memory": pods.memory}},
        "volumeMounts": [{"name": "plan", "mountPath": MOUNT, "readOnly": True}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000},
        "containers": [container],
        "volumes": [{"name": "plan", "configMap": {"name": name}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": pods.namespace},
        "spec": {
            "completionMode": "Indexed",
            "completions": pods.workers,
            "parallelism": pods.workers,
            "backoffLimit": 0,
            # Later than we give up: a Job past its deadline has no pods left that tell why.
            "activeDeadlineSeconds": int(deadline + _GRACE_SECONDS),
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            "template": {"metadata": {"labels": {"ai-how/load": name}}, "spec": spec},
        },
    }


def plan_manifest(name: str, namespace: str, zipped: bytes, job: Object | None) -> Object:
    """The plan as the pods mount it; it goes with the Job."""
    owners = [
        {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": each["metadata"]["uid"]}
        for each in (job,)
        if each is not None
    ]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "ownerReferences": owners},
        "binaryData": {PLAN: base64.b64encode(zipped).decode("ascii")},
    }


def _zipped(plan: LoadPlan) -> bytes:
    zipped = gzip.compress(json.dumps(asdict(plan)).encode())
    if len(zipped) > _LARGEST_PLAN:
        raise PermanentError(
            SYSTEM, "hand its plan to the pods", f"it has {len(zipped)} bytes, compressed",
            hint="load for less long, or with fewer or shorter prompts",
        )  # fmt: skip
    return zipped


def _wait(cluster: Kubernetes, job: Reference, seconds: float) -> None:
    finished = Condition("finished", lambda found: found is None or bool(_ended(found)))
    found = cluster.wait(job, finished, timeout_seconds=seconds)
    if found is None or _ended(found) != "Complete":
        reason = cluster.why(job) if found is not None else "somebody deleted its Job"
        raise TransientError(
            SYSTEM, "finish in its pods", reason, hint="see what the pods say of themselves"
        )


def _ended(job: Object) -> str:
    """How the Job ended; empty while it goes on."""
    ended = [each for each in _FINISHED if condition_of(job, each).get("status") == "True"]
    return ended[0] if ended else ""


def _pods(cluster: Kubernetes, job: Reference) -> list[Reference]:
    """The Job's pods, in the order of their clients."""
    labels = {_JOB_NAME: job.name}
    found = cluster.listed(Kind("v1", "Pod"), namespace=job.namespace, labels=labels)
    ordered = sorted(found, key=lambda each: int(each["metadata"]["labels"].get(_INDEX, "0")))
    return [Reference("v1", "Pod", each["metadata"]["name"], job.namespace) for each in ordered]


def _result(plan: LoadPlan, clients: int, messages: Iterable[Any]) -> LoadResult:
    said: dict[int, list[str]] = {number: [] for number in range(clients)}
    for each in messages:
        said[int(each["client"])].append(str(each["rows"]))
    if not all(said.values()):
        missing = ", ".join(str(number) for number, texts in said.items() if not texts)
        raise TransientError(
            SYSTEM, "read what its pods measured", f"client {missing} said nothing"
        )
    return together([_of_client(plan, n, clients, texts) for n, texts in said.items()])


def _of_client(plan: LoadPlan, number: int, clients: int, texts: list[str]) -> LoadResult:
    *rows, summary = [json.loads(line) for line in joined(iter(texts)).splitlines()]
    measured = sorted(map(from_object, rows), key=lambda row: row.number)
    scheduled = len(share(plan, number, clients).requests)
    return LoadResult(tuple(measured), scheduled, ClientFacts(**summary["summary"]))
