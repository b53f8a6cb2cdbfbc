"""How many pods are behind an endpoint: an autoscaler that moves with the champion. Pure.

Candidates keep one pod, so that what is measured of them is one pod's. KServe's own autoscalers
belong to an InferenceService, so they are not used: changing one of them would restart its pods.
"""

from typing import Any

from resources.kserve import names
from resources.kserve.site import Scaling, Site
from resources.kubernetes import Kind, Object, Reference
from resources.serving import Route

HPA = Kind("autoscaling/v2", "HorizontalPodAutoscaler")
SCALED_OBJECT = Kind("keda.sh/v1alpha1", "ScaledObject")
#: Four scrapes, at the usual 15 s.
_RATE = "1m"


def autoscaler_kind(site: Site) -> Kind | None:
    """Of which kind the site's autoscalers are; None where it has none."""
    if site.scaling is None:
        return None
    return SCALED_OBJECT if site.scaling.prometheus else HPA


def autoscaler(model: str, route: Route, site: Site) -> Object | None:
    """The autoscaler of what is behind the endpoint; None where the site has none."""
    kind = autoscaler_kind(site)
    if site.scaling is None or kind is None:
        return None
    slot = names.slot_name(route.key, route.digest)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": names.predictor_name(slot)}
    spec = _scaled_object if site.scaling.prometheus else _hpa
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": names.endpoint_name(model),
            "namespace": site.namespace,
            "labels": {names.ENDPOINT_LABEL: "true"},
        },
        "spec": {"scaleTargetRef": target, **spec(site.scaling, site.namespace, slot)},
    }


def autoscaler_references(model: str, site: Site) -> list[Reference]:
    """Every autoscaler that the endpoint may have, or have had under other settings."""
    name = names.endpoint_name(model)
    kinds = (HPA, SCALED_OBJECT)
    return [Reference(each.api_version, each.kind, name, site.namespace) for each in kinds]


def _hpa(scaling: Scaling, namespace: str, slot: str) -> dict[str, Any]:
    share = {"type": "Utilization", "averageUtilization": scaling.cpu_percent}
    return {
        "minReplicas": 1,
        "maxReplicas": scaling.most,
        "behavior": _behavior(scaling),
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": share}}],
    }


def _scaled_object(scaling: Scaling, namespace: str, slot: str) -> dict[str, Any]:
    """By vLLM's own figures; its queue stays empty under overload, so it is not asked."""
    pods = f'namespace="{namespace}",pod=~"{names.predictor_name(slot)}-.*"'
    running = f"sum(vllm:num_requests_running{{{pods}}})"
    triggers = []
    if scaling.running_requests is not None:
        triggers.append(_trigger(scaling, running, scaling.running_requests, "AverageValue"))
    if scaling.ttft_p95 is not None:
        buckets = f"rate(vllm:time_to_first_token_seconds_bucket{{{pods}}}[{_RATE}])"
        # Without requests the quantile is no number, and nothing is to be scaled.
        query = f"(histogram_quantile(0.95, sum by (le) ({buckets})) > 0) or 0 * {running}"
        triggers.append(_trigger(scaling, query, scaling.ttft_p95, "Value"))
    return {
        "minReplicaCount": 1,
        "maxReplicaCount": scaling.most,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(scaling)}},
        "triggers": triggers,
    }


def _trigger(scaling: Scaling, query: str, threshold: float, kind: str) -> dict[str, Any]:
    told = {
        "serverAddress": scaling.prometheus,
        "query": query,
        "threshold": f"{threshold:g}",
        # A Prometheus that knows nothing of the pods is out of order. By default that counts as
        # no load, and under load pods would be taken away.
        "ignoreNullValues": "false",
    }
    return {"type": "prometheus", "metricType": kind, "metadata": told}


def _behavior(scaling: Scaling) -> dict[str, Any]:
    return {"scaleDown": {"stabilizationWindowSeconds": scaling.down_after_seconds}}
