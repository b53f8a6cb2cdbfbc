"""The manifests of one slot and one endpoint, and how they are read back. Pure.

What is served and what is routed stands in an annotation of the object itself: there is no other
record of it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from resources.errors import PermanentError
from resources.kserve import addresses, names, runtimes
from resources.kserve.site import Site
from resources.kubernetes import Object, Reference
from resources.serving import Route, Servable

R = TypeVar("R", Servable, Route)

API_VERSION = "serving.kserve.io/v1beta1"
KIND = "InferenceService"
ACCOUNT = "ai-how-models"
SECRET = "ai-how-store"


def slot_reference(site: Site, name: str) -> Reference:
    return Reference(API_VERSION, KIND, name, site.namespace)


def inference_service(servable: Servable, site: Site) -> Object:
    """The InferenceService of a checkpoint; its name follows from key and digest."""
    return _inference_service(servable, site.namespace, _predictor(servable, site))


def as_started(found: Object) -> Object | None:
    """The manifest that a slot was started by, whatever the settings and others say since.

    None where it does not tell.
    """
    try:
        predictor = json.loads(found["metadata"]["annotations"][names.STARTED])
        servable = served(found)
    except (KeyError, ValueError, PermanentError):
        return None
    return _inference_service(servable, found["metadata"]["namespace"], predictor)


def altered(found: Object, manifest: Object) -> str:
    """Where an object is no more what the manifest says, empty where it is."""
    return ", ".join(_altered(manifest, found, ""))


def _altered(wanted: Any, found: Any, path: str) -> Iterator[str]:
    """What others added beside our fields is no matter: an apply would leave it as well.

    A selector is one value, which means something else with more in it.
    """
    whole = path.endswith(".selector")
    if isinstance(wanted, Mapping) and isinstance(found, Mapping) and not whole:
        for key, value in wanted.items():
            yield from _altered(value, found.get(key), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, (each, other) in enumerate(zip(wanted, found, strict=True)):
            yield from _altered(each, other, f"{path}[{number}]")
    elif wanted != found:
        yield path


def _inference_service(servable: Servable, namespace: str, predictor: dict[str, Any]) -> Object:
    name = names.slot_name(servable.key, servable.digest)
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {names.SLOT_LABEL: "true"},
            "annotations": {
                "serving.kserve.io/deploymentMode": "Standard",
                # How many pods is the endpoint's business; another class would restart them.
                "serving.kserve.io/autoscalerClass": "external",
                names.SERVES: json.dumps(asdict(servable), sort_keys=True),
                names.STARTED: json.dumps(predictor, sort_keys=True),
            },
        },
        "spec": {"predictor": predictor},
    }


def _predictor(servable: Servable, site: Site) -> dict[str, Any]:
    image = site.runtimes[servable.runtime]
    return {
        "serviceAccountName": ACCOUNT,
        "minReplicas": 1,
        # A surge waits for ever where there is one GPU; a rolling update without one lets the
        # Deployment call itself available, and KServe the model ready, with no pod at all.
        "deploymentStrategy": {"type": "Recreate"},
        "labels": {names.SLOT_LABEL: "true"},
        "model": {
            "modelFormat": {"name": runtimes.MODEL_FORMAT},
            "runtime": runtimes.runtime_name(image),
            "storageUri": servable.location.rstrip("/") + "/",
            "args": [servable.name, *image.arguments],
        },
    }


def endpoint_reference(site: Site, model: str) -> Reference:
    return Reference("v1", "Service", names.endpoint_name(model), site.namespace)


def endpoint(model: str, route: Route, site: Site) -> Object:
    """The stable Service of a model: one apply moves selector and record together."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": names.endpoint_name(model),
            "namespace": site.namespace,
            "labels": {names.ENDPOINT_LABEL: "true"},
            "annotations": {
                names.ENDPOINT_LABEL: model,
                names.ROUTE: json.dumps(asdict(route), sort_keys=True),
            },
        },
        "spec": {
            "selector": {names.PREDICTOR_LABEL: names.slot_name(route.key, route.digest)},
            "ports": [{"name": "http", "port": addresses.PORT, "targetPort": runtimes.PORT}],
        },
    }


def site_manifests(site: Site) -> list[Object]:
    """What must be there before the first checkpoint: runtimes, account and credentials."""
    namespace: Object = {
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": site.namespace}
    }  # fmt: skip
    account: Object = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": ACCOUNT, "namespace": site.namespace},
        "secrets": [{"name": SECRET}],
    }
    secret = [store_secret(site)] if site.bucket.access_key else []
    return [namespace, *secret, account, *runtimes.serving_runtimes(site)]


def store_secret(site: Site) -> Object:
    """The credentials as KServe's storage initializer reads them."""
    address = site.bucket.endpoint
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": SECRET,
            "namespace": site.namespace,
            "annotations": {
                **({"serving.kserve.io/s3-endpoint": _host(address)} if address else {}),
                "serving.kserve.io/s3-usehttps": "0" if address.startswith("http://") else "1",
                "serving.kserve.io/s3-region": site.bucket.region,
            },
        },
        "stringData": {
            "AWS_ACCESS_KEY_ID": site.bucket.access_key,
            "AWS_SECRET_ACCESS_KEY": site.bucket.secret_key,
        },
    }


def served(found: Object) -> Servable:
    """What an InferenceService of ours serves. Raises PermanentError where it does not say."""
    return _record(found, names.SERVES, Servable)


def routed(found: Object) -> tuple[str, Route]:
    """The model of an endpoint and what is behind it. Raises PermanentError like `served`."""
    route = _record(found, names.ROUTE, Route)
    return str(found["metadata"]["annotations"].get(names.ENDPOINT_LABEL, "")), route


def is_legible(found: Object, read: Callable[[Object], object]) -> bool:
    """Whether `served` or `routed` can read it."""
    try:
        read(found)
    except PermanentError:
        return False
    return True


def _record(found: Object, annotation: str, kind: type[R]) -> R:
    try:
        return kind(**json.loads(found["metadata"]["annotations"][annotation]))
    except (KeyError, ValueError, TypeError) as error:
        raise PermanentError(
            "the serving backend",
            f"read what {found['kind']} {found['metadata']['name']} is for",
            f"its annotation {annotation} is gone or damaged",
            hint="delete the object; it is made anew",
        ) from error


def _host(address: str) -> str:
    return address.removeprefix("http://").removeprefix("https://").rstrip("/")
