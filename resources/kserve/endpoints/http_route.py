"""The HTTPRoute by which an endpoint is reached through a Gateway of the cluster. Pure."""

from resources.kserve import addresses, names
from resources.kserve.site import Site
from resources.kubernetes import Object, Reference

KIND = ("gateway.networking.k8s.io/v1", "HTTPRoute")


def http_route_reference(model: str, site: Site) -> Reference:
    return Reference(*KIND, names.endpoint_name(model), site.namespace)


def http_route(model: str, site: Site) -> Object | None:
    """`<model>.<domain>` to the stable Service, which a promotion switches; None without one."""
    if site.gateway is None:
        return None
    name = names.endpoint_name(model)
    label = name.removeprefix("endpoint-").rpartition("-")[0]
    parent = {"name": site.gateway.name, "namespace": site.gateway.namespace}
    return {
        "apiVersion": KIND[0],
        "kind": KIND[1],
        "metadata": {
            "name": name,
            "namespace": site.namespace,
            "labels": {names.ENDPOINT_LABEL: "true"},
        },
        "spec": {
            "parentRefs": [parent],
            "hostnames": [f"{label}.{site.gateway.domain}"],
            "rules": [{"backendRefs": [{"name": name, "port": addresses.PORT}]}],
        },
    }
