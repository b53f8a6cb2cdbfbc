"""What stands with an endpoint's Service, as golden files; who wants nothing of it gets nothing."""

from dataclasses import replace

from resources.kserve import Gateway, Scaling
from resources.kserve.endpoints import autoscaler, http_route
from tests.resources.kserve.test_manifests import ROUTE, SITE, same

BY_CPU = Scaling(most=3, cpu_percent=80, down_after_seconds=60)
BY_REQUESTS = Scaling(
    most=4, prometheus="http://prometheus.monitoring.svc:9090", running_requests=16, ttft_p95=0.5
)


def test_an_endpoint_has_neither_by_default() -> None:
    assert (autoscaler("qa", ROUTE, SITE), http_route("qa", SITE)) == (None, None)


def test_pods_by_cpu() -> None:
    assert same("autoscaler_cpu", autoscaler("qa", ROUTE, replace(SITE, scaling=BY_CPU)))


def test_pods_by_what_vllm_says_of_itself() -> None:
    found = autoscaler("qa", ROUTE, replace(SITE, scaling=BY_REQUESTS))
    assert same("autoscaler_requests", found)


def test_a_model_has_a_name_of_its_own_at_the_gateway() -> None:
    gateway = Gateway("public", "gateways", "models.example.org")
    assert same("http_route", http_route("QA_Long", replace(SITE, gateway=gateway)))
