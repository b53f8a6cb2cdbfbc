"""An endpoint's autoscaler under other settings: none of the former kind is left beside it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from resources.errors import NeedsRepair
from resources.kserve import KServe
from resources.kserve.endpoints import autoscaler_references
from resources.kserve.endpoints.scaling import HPA, SCALED_OBJECT
from resources.kserve.site import Scaling
from resources.kubernetes import Kind, Kubernetes
from tests.doubles.kubernetes import ApiServer
from tests.doubles.kubernetes_store import Served
from tests.resources.kserve.endpoints.test_companions import BY_CPU, BY_REQUESTS
from tests.resources.kserve.test_manifests import ROUTE, SITE

INFERENCE_SERVICES = Served(
    "serving.kserve.io/v1beta1", "InferenceService", "inferenceservices", True
)
HPAS = Served(HPA.api_version, HPA.kind, "horizontalpodautoscalers", True)
SCALED_OBJECTS = Served(SCALED_OBJECT.api_version, SCALED_OBJECT.kind, "scaledobjects", True)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as made:
        made.store.served += [INFERENCE_SERVICES, HPAS, SCALED_OBJECTS]
        yield made


def backend(server: ApiServer, directory: Path, scaling: Scaling | None) -> KServe:
    cluster = Kubernetes(server.kubeconfig(directory), retry_seconds=0)
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SITE.namespace}})
    return KServe(cluster, replace(SITE, scaling=scaling))


def kinds(backend: KServe) -> list[Kind]:
    """Of which kinds the endpoint has an autoscaler."""
    references = autoscaler_references("qa", backend.site)
    return [each.of_kind for each in references if backend.cluster.get(each) is not None]


@pytest.mark.parametrize(
    ("former", "present", "left"),
    [
        (BY_CPU, BY_REQUESTS, [SCALED_OBJECT]),
        (BY_REQUESTS, BY_CPU, [HPA]),
        (BY_CPU, None, []),
        (BY_REQUESTS, None, []),
    ],
)
def test_the_former_autoscaler_goes(
    server: ApiServer, tmp_path: Path, former: Scaling, present: Scaling | None, left: list[Kind]
) -> None:
    backend(server, tmp_path, former).route("qa", ROUTE)
    changed = backend(server, tmp_path, present)
    changed.route("qa", ROUTE)
    assert kinds(changed) == left


def test_the_former_goes_before_keda_is_asked(server: ApiServer, tmp_path: Path) -> None:
    backend(server, tmp_path, BY_CPU).route("qa", ROUTE)

    def as_keda(found: dict[str, object]) -> str | None:
        others = server.store.listed(HPA.api_version, HPAS.plural, SITE.namespace)
        return "already managed" if others and found["kind"] == SCALED_OBJECT.kind else None

    server.store.admission = as_keda
    changed = backend(server, tmp_path, BY_REQUESTS)
    changed.route("qa", ROUTE)
    assert kinds(changed) == [SCALED_OBJECT]


def test_a_closed_endpoint_has_none(server: ApiServer, tmp_path: Path) -> None:
    backend(server, tmp_path, BY_REQUESTS).route("qa", ROUTE)
    changed = backend(server, tmp_path, None)
    changed.route("qa", None)
    assert kinds(changed) == []


@pytest.mark.parametrize("scaling", [None, BY_CPU])
def test_nobody_needs_keda_for_that(
    server: ApiServer, tmp_path: Path, scaling: Scaling | None
) -> None:
    server.store.served.remove(SCALED_OBJECTS)
    made = backend(server, tmp_path, scaling)
    made.route("qa", ROUTE)
    made.route("qa", None)


def test_no_right_to_the_kind_of_other_settings_is_needed(
    server: ApiServer, tmp_path: Path
) -> None:
    server.forbidden = {"scaledobjects"}
    backend(server, tmp_path, BY_CPU).route("qa", ROUTE)


def test_no_right_to_the_kind_in_use_is_told(server: ApiServer, tmp_path: Path) -> None:
    made = backend(server, tmp_path, BY_REQUESTS)
    made.route("qa", ROUTE)
    server.forbidden = {"scaledobjects"}
    with pytest.raises(NeedsRepair, match="scaledobjects is forbidden"):
        made.route("qa", None)
