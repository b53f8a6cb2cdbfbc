"""Whether a cluster can serve the checkpoints of a site, looked at without changing anything."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from resources.errors import ExternalError
from resources.kserve import manifests, names, runtimes
from resources.kserve.endpoints import scaling, unscaled
from resources.kserve.endpoints.http_route import KIND as HTTP_ROUTE
from resources.kserve.site import Site
from resources.kubernetes import Kind, Kubernetes, Object, Reference
from resources.kubernetes.conditions import condition_of

#: Beside the namespace itself: verb, group and resource of what serving asks of the API server.
RIGHTS = (
    ("patch", "serving.kserve.io", "inferenceservices"),
    ("delete", "serving.kserve.io", "inferenceservices"),
    ("patch", "serving.kserve.io", "servingruntimes"),
    ("list", "serving.kserve.io", "servingruntimes"),
    ("delete", "serving.kserve.io", "servingruntimes"),
    ("patch", "", "services"),
    ("patch", "", "secrets"),
    ("patch", "", "serviceaccounts"),
    ("create", "coordination.k8s.io", "leases"),
    ("list", "", "pods"),
    # Those of a lost node, whose end nobody confirms.
    ("delete", "", "pods"),
    ("get", "", "pods/log"),
    ("list", "", "events"),
    ("get", "apps", "deployments"),
)
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_NODE = Kind("v1", "Node")
_GPU = "nvidia.com/gpu"
#: What autoscalers of a kind go by in rights.
_PLURALS = {
    scaling.HPA: ("autoscaling", "horizontalpodautoscalers"),
    scaling.SCALED_OBJECT: ("keda.sh", "scaledobjects"),
}
#: Which API autoscalers read, and what brings it.
_METRICS = {
    scaling.HPA: ("pod metrics", "v1beta1.metrics.k8s.io", "install metrics-server"),
    scaling.SCALED_OBJECT: (
        "KEDA's metrics",
        "v1beta1.external.metrics.k8s.io",
        "see that KEDA's metrics server runs, and that no other one has its API",
    ),
}


@dataclass(frozen=True)
class Observation:
    """One thing looked at; `fix` is what to do where it is not well."""

    what: str
    well: bool
    found: str
    fix: str = ""


def survey(cluster: Kubernetes, site: Site) -> Iterator[Observation]:
    """What serving will need, the reason first that stands in the way of all others."""
    try:
        version = cluster.connection.send("GET", "/version", action="ask for its version")
    except ExternalError as error:
        yield Observation("cluster", False, error.reason, error.hint or "")
        return
    yield Observation("cluster", True, f"Kubernetes {version['gitVersion']}")
    for look in (_kinds, _autoscaling, _nodes, _rights):
        try:
            yield from look(cluster, site)
        except ExternalError as error:
            yield Observation(look.__name__.strip("_"), False, error.reason, error.hint or "")


def _kinds(cluster: Kubernetes, site: Site) -> Iterator[Observation]:
    """The kinds of KServe, and that of routes where the site wants one."""
    wanted = {
        "KServe": Kind(manifests.API_VERSION, manifests.KIND),
        "KServe's runtimes": Kind(runtimes.API_VERSION, "ServingRuntime"),
    }
    if site.gateway is not None:
        wanted["Gateway API"] = Kind(*HTTP_ROUTE)
    for name, kind in wanted.items():
        yield _known(cluster, kind, name)


def _known(cluster: Kubernetes, kind: Kind, name: str) -> Observation:
    try:
        cluster.connection.resource(kind, f"look for {name}")
    except ExternalError as error:
        return Observation(name, False, error.reason, f"install {name.partition(chr(39))[0]}")
    return Observation(name, True, f"{kind.kind} {kind.api_version.rpartition('/')[2]}")


def _autoscaling(cluster: Kubernetes, site: Site) -> Iterator[Observation]:
    """What the endpoints' autoscalers need, and whether those that are there do their work."""
    kind = scaling.autoscaler_kind(site)
    if kind is None:
        return
    if kind == scaling.SCALED_OBJECT:
        keda = _known(cluster, kind, "KEDA")
        yield keda
        if not keda.well:
            return
    name, api, fix = _METRICS[kind]
    found = cluster.get(Reference("apiregistration.k8s.io/v1", "APIService", api))
    well = condition_of(found, "Available").get("status") == "True"
    told = "available" if well else "not available"
    yield Observation(name, well, told, "" if well else fix)
    yield from _autoscalers(cluster, site, kind)


def _autoscalers(cluster: Kubernetes, site: Site, kind: Kind) -> Iterator[Observation]:
    labels = {names.ENDPOINT_LABEL: "true"}
    listed = cluster.listed(kind, namespace=site.namespace, labels=labels)
    looked_at = [unscaled(each, cluster.events(Reference.of(each))) for each in listed]
    for each in filter(None, looked_at):
        yield Observation("autoscaling", False, each.reason, each.fix)
    if listed and not any(looked_at):
        yield Observation("autoscaling", True, f"{len(listed)} of {len(listed)} endpoints")


def _nodes(cluster: Kubernetes, site: Site) -> Iterator[Observation]:
    nodes = cluster.listed(_NODE)
    ready = [each for each in nodes if condition_of(each, "Ready").get("status") == "True"]
    told = f"{len(ready)} of {len(nodes)} ready"
    yield Observation("nodes", bool(ready), told, "" if ready else "mend a node")
    most = max((each.gpus for each in site.runtimes.values()), default=0)
    if most:
        advertised = [int(_allocatable(each).get(_GPU, "0")) for each in ready]
        well = max(advertised, default=0) >= most
        fix = "" if well else "install the GPU operator, or ask for fewer GPUs a pod"
        yield Observation("GPUs", well, f"{sum(advertised)} {_GPU} on the ready nodes", fix)


def _rights(cluster: Kubernetes, site: Site) -> Iterator[Observation]:
    there = True
    # Who may not look at namespaces has been given one.
    with suppress(ExternalError):
        there = cluster.get(Reference("v1", "Namespace", site.namespace)) is not None
    kind = scaling.autoscaler_kind(site)
    needed = (*RIGHTS, *(_autoscaler_rights(kind) if kind else ()))
    rights = needed if there else (("create", "", "namespaces"), *needed)
    missing = [right for right in rights if not _may(cluster, site, right)]
    told = "; ".join(f"may not {verb} {name}" for verb, _, name in missing)
    fix = f"give the account these rights in the namespace {site.namespace} (Role, RoleBinding)"
    found = told or f"all that serving needs in {site.namespace}"
    yield Observation("rights", not missing, found, fix if missing else "")


def _autoscaler_rights(kind: Kind) -> Iterator[tuple[str, str, str]]:
    """To the autoscalers, and to take pods that are too many."""
    for verb in ("patch", "list", "delete"):
        yield (verb, *_PLURALS[kind])
    yield "patch", "apps", "deployments/scale"


def _may(cluster: Kubernetes, site: Site, right: tuple[str, str, str]) -> bool:
    verb, group, resource = right
    name, _, part = resource.partition("/")
    asked = {"verb": verb, "group": group, "resource": name, "namespace": site.namespace}
    asked |= {"subresource": part} if part else {}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    answer = cluster.connection.send("POST", _REVIEW, action="ask for our rights", body=body)
    return bool(answer["status"].get("allowed"))


def _allocatable(node: Object) -> Mapping[str, str]:
    found: Mapping[str, str] = (node.get("status") or {}).get("allocatable") or {}
    return found
