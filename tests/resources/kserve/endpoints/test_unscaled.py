"""What is said of autoscalers out of order, with statuses and events of KEDA 2.20.2."""

from typing import Any

import pytest

from resources.kserve.endpoints import unscaled
from resources.kserve.endpoints.unscaled import Unscaled
from resources.kubernetes import Object

PROMETHEUS = "http://prometheus.monitoring.svc:9090"
READY = {
    "type": "Ready",
    "status": "True",
    "reason": "ScaledObjectReady",
    "message": "ScaledObject is defined correctly and is ready for scaling",
}
BROKEN = {
    "type": "Ready",
    "status": "False",
    "reason": "TriggerError",
    "message": "Triggers defined in ScaledObject are not working correctly",
}
HALF_BROKEN = {
    "type": "Ready",
    "status": "Unknown",
    "reason": "PartialTriggerError",
    "message": "Some triggers defined in ScaledObject are not working correctly",
}
NO_TARGET = {
    "type": "Ready",
    "status": "False",
    "reason": "ScaledObjectCheckFailed",
    "message": "ScaledObject doesn't have correct scaleTargetRef specification",
}
AT_WORK = {"type": "HPAActive", "status": "True", "reason": "HPAActive"}
HELD = {
    "type": "HPAActive",
    "status": "False",
    "reason": "FailedGetExternalMetric",
    "message": "HPA is not actively scaling: the HPA was unable to compute the replica count: "
    "unable to get external metric models/s0-prometheus/&LabelSelector{MatchLabels:map[string]"
    "string{scaledobject.keda.sh/name: endpoint-qa,},MatchExpressions:[]LabelSelectorRequirement"
    "{},}: unable to fetch metrics from external metrics API: rpc error",
}
REFUSED = (
    f'Get "{PROMETHEUS}/api/v1/query?query=sum%28vllm%3Anum_requests_running%7B%7D%29": '
    "dial tcp 10.215.179.188:9090: connect: connection refused"
)
EMPTY = "prometheus metrics 'prometheus' target may be lost, the result is empty"


def scaled_object(*conditions: dict[str, str]) -> Object:
    return {
        "kind": "ScaledObject",
        "metadata": {"name": "endpoint-qa", "namespace": "models"},
        "spec": {"triggers": [{"metadata": {"serverAddress": PROMETHEUS}}]},
        "status": {"conditions": list(conditions)},
    }


def failed(*messages: str) -> list[dict[str, Any]]:
    return [{"reason": "KEDAScalerFailed", "message": each} for each in messages]


def hpa(status: str) -> Object:
    said = {"type": "ScalingActive", "status": status, "message": "no metrics returned"}
    about = {"name": "endpoint-qa"}
    kind = "HorizontalPodAutoscaler"
    return {"kind": kind, "metadata": about, "status": {"conditions": [said]}}


@pytest.mark.parametrize("conditions", [(READY,), (READY, AT_WORK)])
def test_one_at_work_is_well_whatever_failed_before(conditions: tuple[dict[str, str]]) -> None:
    assert unscaled(scaled_object(*conditions), failed(REFUSED)) is None


@pytest.mark.parametrize("conditions", [(BROKEN, HELD), (HALF_BROKEN, AT_WORK)])
def test_a_prometheus_that_does_not_answer_is_named(conditions: tuple[dict[str, str]]) -> None:
    told = unscaled(scaled_object(*conditions), failed(EMPTY, REFUSED))
    assert told == Unscaled(
        f"endpoint-qa: KEDA cannot ask {PROMETHEUS}: "
        "dial tcp 10.215.179.188:9090: connect: connection refused",
        "let that Prometheus answer, or correct serving.cluster.autoscaling.prometheus",
    )


def test_a_prometheus_that_knows_nothing_of_the_pods_is_named() -> None:
    told = unscaled(scaled_object(BROKEN), failed(REFUSED, EMPTY))
    assert told == Unscaled(
        f"endpoint-qa: {PROMETHEUS} knows no vllm:num_requests_running of its pods",
        "let that Prometheus scrape port 8080 of the pods in models, "
        "with the labels `namespace` and `pod`",
    )


def test_without_an_event_the_condition_speaks() -> None:
    told = unscaled(scaled_object(NO_TARGET))
    assert told is not None
    assert told.reason == f"endpoint-qa: {NO_TARGET['message']}"


def test_until_keda_has_looked_kubernetes_speaks() -> None:
    told = unscaled(scaled_object(READY, HELD), failed(EMPTY))
    assert told == Unscaled(
        "endpoint-qa: HPA is not actively scaling: the HPA was unable to compute the replica "
        "count: unable to get external metric models/s0-prometheus: unable to fetch metrics from "
        "external metrics API: rpc error",
        "look again in half a minute, when KEDA has looked, too",
    )


@pytest.mark.parametrize("conditions", [(), ({"type": "Ready", "status": "Unknown"},)])
def test_one_that_keda_never_saw_is_told(conditions: tuple[dict[str, str]]) -> None:
    told = unscaled(scaled_object(*conditions))
    fix = "see that KEDA's operator runs"
    assert told == Unscaled("endpoint-qa: KEDA has not looked at it", fix)


def test_one_by_cpu_without_figures_is_told() -> None:
    told = unscaled(hpa("False"))
    fix = "see that metrics-server runs"
    assert told == Unscaled("endpoint-qa: no metrics returned", fix)


def test_one_by_cpu_at_work_is_well() -> None:
    assert unscaled(hpa("True")) is None
