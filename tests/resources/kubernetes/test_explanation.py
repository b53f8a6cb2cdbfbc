"""Objects, events and logs in, the sentence out; shapes as a kubelet and a scheduler write them."""

from typing import Any

import pytest

from resources.kubernetes import Object, Trouble
from resources.kubernetes.reasons.explanation import Evidence, diagnose, explain, troubled

DEPLOYMENT: Object = {"kind": "Deployment", "metadata": {"name": "web"}, "status": {}}


def pod(name: str = "web-1", *, created: str = "2026-01-01T00:00:00Z", **status: Any) -> Object:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "creationTimestamp": created},
        "status": status,
    }


def container(**state: Any) -> Object:
    return {"name": "server", "image": "example/server:1", "restartCount": 0, **state}


def waiting(reason: str, message: str = "", **more: Any) -> Object:
    return container(state={"waiting": {"reason": reason, "message": message}}, **more)


def ended(code: int, reason: str = "Error") -> Object:
    return {"terminated": {"exitCode": code, "reason": reason}}


def condition(kind: str, status: str, message: str) -> Object:
    return {"type": kind, "status": status, "message": message}


def warning(message: str, *, at: str, name: str = "web", **more: Any) -> Object:
    return {
        "type": "Warning", "reason": "Failed", "message": message, "lastTimestamp": at,
        "involvedObject": {"kind": "Pod", "name": name}, **more,
    }  # fmt: skip


def why(*pods: Object, **more: Any) -> str:
    return explain(Evidence(**{"found": DEPLOYMENT, "pods": pods, **more}))


def test_no_object() -> None:
    assert explain(Evidence(None)) == "there is no such object"


@pytest.mark.parametrize("found", [{"kind": "X", "metadata": {}}, {**DEPLOYMENT, "status": None}])
def test_an_object_that_tells_nothing(found: Object) -> None:
    assert explain(Evidence(found)) == "nothing in the cluster says why"


@pytest.mark.parametrize("status", [{}, {"conditions": None}, {"containerStatuses": None}])
def test_a_pod_that_tells_nothing(status: Object) -> None:
    assert why(pod(**status)) == "nothing in the cluster says why"


@pytest.mark.parametrize(
    "reason", ["ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"]
)
def test_an_image_that_is_not_there(reason: str) -> None:
    told = why(pod(containerStatuses=[waiting(reason, "manifest unknown")]))
    assert told == (
        "container server of pod web-1 cannot have its image example/server:1: manifest unknown"
    )


def test_an_image_without_a_message() -> None:
    assert why(pod(containerStatuses=[waiting("ErrImagePull")])).endswith(": ErrImagePull")


def test_a_container_that_crashes_with_its_last_words() -> None:
    status = waiting("CrashLoopBackOff", "back-off 10s", lastState=ended(2), restartCount=3)
    told = why(
        pod(containerStatuses=[status]), logs={("web-1", "server"): "loading\nValueError: no GPU\n"}
    )
    assert told == (
        "container server of pod web-1 ended with exit status 2 after 3 restarts; "
        "its last words: loading ValueError: no GPU"
    )


def test_a_container_that_ended_just_now() -> None:
    told = why(pod(containerStatuses=[container(state=ended(1))]))
    assert told == "container server of pod web-1 ended with exit status 1"


def test_the_termination_message_counts_where_there_is_no_log() -> None:
    state = {"terminated": {"exitCode": 1, "message": "cannot open the model"}}
    told = why(pod(containerStatuses=[container(state=state)]))
    assert told.endswith("its last words: cannot open the model")


def test_only_the_end_of_a_long_log_is_told() -> None:
    told = why(
        pod(containerStatuses=[container(state=ended(1))]),
        logs={("web-1", "server"): "x" * 1000 + " the cause"},
    )
    assert told.endswith("the cause")
    assert len(told) < 400


@pytest.mark.parametrize(
    "status",
    [
        container(state=ended(137, "OOMKilled")),
        waiting("CrashLoopBackOff", lastState=ended(137, "OOMKilled")),
        container(state={"running": {}}, lastState=ended(137, "OOMKilled")),
    ],
)
def test_a_container_out_of_memory(status: Object) -> None:
    assert "more memory than its limit (OOMKilled)" in why(pod(containerStatuses=[status]))


def test_a_container_that_cannot_be_made() -> None:
    status = waiting("CreateContainerConfigError", 'secret "s3" not found')
    told = why(pod(containerStatuses=[status]))
    assert told == (
        "container server of pod web-1 cannot start (CreateContainerConfigError): "
        'secret "s3" not found'
    )


def test_an_init_container_is_called_one() -> None:
    status = {**container(state=ended(1)), "name": "storage-initializer"}
    told = why(
        pod(
            initContainerStatuses=[status],
            containerStatuses=[waiting("PodInitializing")],
        ),
        logs={("web-1", "storage-initializer"): "NoSuchBucket"},
    )
    assert told == (
        "init container storage-initializer of pod web-1 ended with exit status 1; "
        "its last words: NoSuchBucket"
    )


def test_an_init_container_that_is_done_is_no_trouble() -> None:
    told = why(pod(initContainerStatuses=[container(state=ended(0))]))
    assert told == "nothing in the cluster says why"


def test_a_pod_that_no_node_takes() -> None:
    said = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    told = why(pod(conditions=[condition("PodScheduled", "False", said)]))
    assert told == f"no node takes pod web-1: {said}"


def test_a_pod_that_waits_for_what_others_hold() -> None:
    unplaced = pod(conditions=[condition("PodScheduled", "False", "Insufficient nvidia.com/gpu")])
    told = why(unplaced, scarce={"web-1": "no free nvidia.com/gpu: pod a/b holds 1 of 1 on n"})
    assert told == ("no node takes pod web-1: no free nvidia.com/gpu: pod a/b holds 1 of 1 on n")


def test_a_pod_that_was_evicted() -> None:
    told = why(pod(phase="Failed", reason="Evicted", message="The node was low on resource"))
    assert told == "pod web-1 failed (Evicted): The node was low on resource"


def test_the_newest_pod_counts() -> None:
    told = why(
        pod("web-old", containerStatuses=[waiting("ErrImagePull")]),
        pod(
            "web-new", created="2026-01-02T00:00:00Z", containerStatuses=[container(state=ended(1))]
        ),
    )
    assert "web-new" in told


def test_a_container_counts_more_than_a_condition() -> None:
    found = {**DEPLOYMENT, "status": {"conditions": [condition("Available", "False", "minimum")]}}
    told = why(pod(containerStatuses=[waiting("ErrImagePull")]), found=found)
    assert "image" in told


def test_a_quota_stands_in_a_condition_of_what_was_made() -> None:
    failed = condition("ReplicaFailure", "True", "pods is forbidden: exceeded quota")
    made = {"kind": "ReplicaSet", "metadata": {"name": "web-7"}, "status": {"conditions": [failed]}}
    found = {**DEPLOYMENT, "status": {"conditions": [condition("Available", "False", "minimum")]}}
    told = why(found=found, made=[made])
    assert told == ("ReplicaSet web-7 says ReplicaFailure=True: pods is forbidden: exceeded quota")


def test_a_condition_of_the_object() -> None:
    found = {**DEPLOYMENT, "status": {"conditions": [condition("Ready", "False", "no runtime")]}}
    assert why(found=found) == "Deployment web says Ready=False: no runtime"


def test_a_condition_without_words_is_no_reason() -> None:
    found = {**DEPLOYMENT, "status": {"conditions": [condition("Ready", "False", "")]}}
    assert why(found=found) == "nothing in the cluster says why"


def test_the_newest_warning_counts_wherever_its_time_stands() -> None:
    series = {"lastObservedTime": "2026-01-03T00:00:00.000000Z"}
    told = why(
        events=[
            warning("later", at="2026-01-02T00:00:00Z"),
            {**warning("latest", at=""), "series": series},
            warning("first", at="2026-01-01T00:00:00Z"),
            {**warning("normal", at="2026-01-09T00:00:00Z"), "type": "Normal"},
        ]
    )
    assert told == "Pod web: Failed: latest"


def test_a_container_that_is_not_ready_yet() -> None:
    told = why(pod(containerStatuses=[container(state={"running": {}}, ready=False)]))
    assert told == "container server of pod web-1 is not ready yet"


def test_a_probe_that_fails_counts_more_than_not_being_ready() -> None:
    told = why(
        pod(containerStatuses=[container(state={"running": {}}, ready=False)]),
        events=[warning("Readiness probe failed: 503", at="2026-01-01T00:00:00Z", name="web-1")],
    )
    assert told == "Pod web-1: Failed: Readiness probe failed: 503"


@pytest.mark.parametrize(
    ("finalizers", "told"),
    [
        (["a/b", "c/d"], "it is being deleted, held by a/b, c/d"),
        (None, "it is being deleted"),
    ],
)
def test_an_object_that_is_going(finalizers: list[str] | None, told: str) -> None:
    about = {"name": "web", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers}
    assert why(found={**DEPLOYMENT, "metadata": about}) == told


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (waiting("CrashLoopBackOff", lastState=ended(1)), [("web-1", "server", True)]),
        (container(state=ended(1)), [("web-1", "server", False)]),
        (container(state={"running": {}}, ready=False), [("web-1", "server", False)]),
        (container(state={"running": {}}, ready=True), []),
        (waiting("ContainerCreating"), []),
        (container(state=ended(0)), []),
    ],
)
def test_whose_logs_tell_more(status: Object, expected: list[tuple[str, str, bool]]) -> None:
    assert list(troubled([pod(containerStatuses=[status])])) == expected


def test_a_warning_counts_more_than_a_condition_that_only_says_not_yet() -> None:
    found = {**DEPLOYMENT, "status": {"conditions": [condition("Available", "False", "minimum")]}}
    told = why(found=found, events=[warning("no volume", at="2026-01-01T00:00:00Z")])
    assert told == "Pod web: Failed: no volume"


def test_a_warning_of_scheduling_is_over_once_the_pod_is_placed() -> None:
    event = warning("0/2 nodes", at="2026-01-01T00:00:00Z", name="web-1")
    told = why(events=[{**event, "reason": "FailedScheduling"}])
    assert told == "nothing in the cluster says why"


def test_a_condition_that_nobody_knows_counts_last() -> None:
    found = {**DEPLOYMENT, "status": {"conditions": [condition("Ready", "Unknown", "working")]}}
    assert why(found=found) == "Deployment web says Ready=Unknown: working"


def node(name: str, ready: str) -> Object:
    said = "Kubelet stopped posting node status." if ready != "True" else "kubelet is ready"
    return {
        "kind": "Node",
        "metadata": {"name": name},
        "status": {"conditions": [condition("Ready", ready, said)]},
    }


def placed(pod: Object, where: str) -> Object:
    return {**pod, "spec": {"nodeName": where}}


@pytest.mark.parametrize("ready", ["Unknown", "False"])
def test_a_lost_node_counts_more_than_what_its_containers_said_before(ready: str) -> None:
    stale = pod(containerStatuses=[waiting("ErrImagePull")])
    told = why(placed(stale, "gpu-2"), nodes=[node("gpu-1", "True"), node("gpu-2", ready)])
    assert told == (
        "the node gpu-2 of pod web-1 is not ready: Kubelet stopped posting node status."
    )


def test_a_lost_node_is_no_matter_to_a_pod_of_another() -> None:
    told = why(placed(pod(), "gpu-1"), nodes=[node("gpu-1", "True"), node("gpu-2", "Unknown")])
    assert told == "nothing in the cluster says why"


def ending(pod: Object) -> Object:
    return {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": "2026-01-01T00:01:00Z"}}


def test_a_pod_that_is_ending_says_nothing_where_another_has_taken_its_place() -> None:
    old = ending(pod("web-old", containerStatuses=[container(state=ended(1))]))
    assert why(old, pod("web-new")) == "nothing in the cluster says why"
    assert "web-old" in why(old)


REFUSED = {
    'pods "web-7" is forbidden: exceeded quota: none, requested: pods=1': Trouble.QUOTA,
    'failed calling webhook "x.y.z": connection refused': Trouble.WEBHOOK_AWAY,
    'admission webhook "x.y.z" denied the request: secrets "s3" not found': Trouble.POD_REFUSED,
}


@pytest.mark.parametrize("said", REFUSED)
def test_who_refuses_a_pod_is_told_apart(said: str) -> None:
    failed = condition("ReplicaFailure", "True", said)
    made = {"kind": "ReplicaSet", "metadata": {"name": "web-7"}, "status": {"conditions": [failed]}}
    cause = diagnose(Evidence(DEPLOYMENT, [made]))
    assert (cause.trouble, cause.sentence) == (
        REFUSED[said],
        f"ReplicaSet web-7 says ReplicaFailure=True: {said}",
    )


TROUBLES = (
    (waiting("ErrImagePull"), Trouble.IMAGE_PULL),
    (waiting("ImagePullBackOff"), Trouble.IMAGE_PULL),
    (waiting("ErrImageNeverPull"), Trouble.IMAGE_NAME),
    (waiting("InvalidImageName"), Trouble.IMAGE_NAME),
    (waiting("CreateContainerConfigError"), Trouble.CANNOT_START),
    (waiting("CrashLoopBackOff", lastState=ended(137, "OOMKilled")), Trouble.OUT_OF_MEMORY),
    (waiting("CrashLoopBackOff", lastState=ended(137)), Trouble.KILLED),
    (waiting("CrashLoopBackOff", lastState=ended(1)), Trouble.ENDED),
    (container(state={"running": {}}, ready=False), Trouble.NOT_READY),
)


@pytest.mark.parametrize(("status", "trouble"), TROUBLES)
def test_the_troubles_of_a_container_are_told_apart(status: Object, trouble: Trouble) -> None:
    cause = diagnose(Evidence(DEPLOYMENT, pods=[pod(containerStatuses=[status])]))
    assert (cause.trouble, cause.about) == (trouble, "server")


@pytest.mark.parametrize(
    ("reason", "said", "trouble"),
    [
        ("Unhealthy", "Startup probe failed: HTTP probe failed with statuscode: 503",
         Trouble.UNHEALTHY),
        ("Unhealthy", "Startup probe failed: connection refused", Trouble.WARNING),
        ("FailedMount", "failed with statuscode", Trouble.WARNING),
        ("Failed", 'Failed to pull image "x:1": connection refused', Trouble.IMAGE_PULL),
        ("Failed", "Error: ImagePullBackOff", Trouble.IMAGE_PULL),
    ],
)  # fmt: skip
def test_warnings_are_told_apart(reason: str, said: str, trouble: Trouble) -> None:
    event = {**warning(said, at="2026-01-01T00:00:00Z"), "reason": reason}
    assert diagnose(Evidence(DEPLOYMENT, events=[event])).trouble == trouble
