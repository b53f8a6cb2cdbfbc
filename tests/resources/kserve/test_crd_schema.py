"""Every manifest of ours against KServe's schema or KEDA's; the stored ones against the real ones.

AI_HOW_WRITE_GOLDEN=1 writes the stored ones anew.
"""

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
import yaml

from resources.kserve import Scaling
from resources.kserve.endpoints import autoscaler
from resources.kserve.manifests import inference_service
from resources.kserve.runtimes import serving_runtimes
from tests.resources.kserve.crd_schema import cut, stored, whole
from tests.resources.kserve.endpoints.test_companions import BY_REQUESTS
from tests.resources.kserve.test_manifests import GPU, ROUTE, SERVABLE, SITE
from tests.testbed import pins
from tests.testbed.build import go_programs
from tests.testbed.cluster import Cluster

KINDS = ("InferenceService", "ServingRuntime")
SERVICES = [
    inference_service(replace(SERVABLE, runtime=runtime), SITE) for runtime in SITE.runtimes
]


def complaints(manifest: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft7Validator(whole(stored(manifest["kind"])))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]


@pytest.mark.parametrize("manifest", SERVICES, ids=list(SITE.runtimes))
def test_an_inference_service_has_only_what_kserve_knows(manifest: dict[str, Any]) -> None:
    assert complaints(manifest) == []


@pytest.mark.parametrize("manifest", serving_runtimes(SITE), ids=list(SITE.runtimes))
def test_a_serving_runtime_has_only_what_kserve_knows(manifest: dict[str, Any]) -> None:
    assert complaints(manifest) == []


def test_a_claim_is_a_volume_that_kserve_knows() -> None:
    site = replace(SITE, runtimes={"vllm": replace(GPU, cache="kernels")})
    [runtime] = serving_runtimes(site)
    assert complaints(runtime) == []


SCALINGS = {"by requests": BY_REQUESTS, "by ttft": replace(BY_REQUESTS, running_requests=None)}


@pytest.mark.parametrize("scaling", SCALINGS.values(), ids=list(SCALINGS))
def test_a_scaled_object_has_only_what_keda_knows(scaling: Scaling) -> None:
    manifest = autoscaler("qa", ROUTE, replace(SITE, scaling=scaling))
    assert manifest is not None
    assert complaints(manifest) == []


def test_a_misspelt_field_of_a_scaled_object_is_found() -> None:
    wrong = autoscaler("qa", ROUTE, replace(SITE, scaling=BY_REQUESTS))
    assert wrong is not None
    wrong["spec"]["triggers"][0]["metric_type"] = "Value"
    [complaint] = complaints(wrong)
    assert "'metric_type' was unexpected" in complaint


def test_a_misspelt_field_is_found() -> None:
    wrong = inference_service(SERVABLE, SITE)
    wrong["spec"]["predictor"]["model"]["storageURI"] = "s3://models/"
    [complaint] = complaints(wrong)
    assert "'storageURI' was unexpected" in complaint


def test_a_wrong_type_is_found() -> None:
    wrong = inference_service(SERVABLE, SITE)
    wrong["spec"]["predictor"]["minReplicas"] = "1"
    assert complaints(wrong) == ["$.spec.predictor.minReplicas: '1' is not of type 'integer'"]


@pytest.mark.testbed
@pytest.mark.parametrize("kind", KINDS)
def test_the_stored_schema_is_that_of_a_real_cluster(cluster: Cluster, kind: str) -> None:
    name = f"{kind.lower()}s.serving.kserve.io"
    found = cut(json.loads(cluster.kubectl("get", "crd", name, "--output", "json")))
    assert stored(kind, found) == found


@pytest.mark.testbed
def test_the_stored_schema_of_keda_is_that_of_its_release(cluster: Cluster) -> None:
    folder = go_programs.module_folder(go_programs.KEDA, pins.KEDA) / "config" / "crd" / "bases"
    found = cut(yaml.safe_load((folder / "keda.sh_scaledobjects.yaml").read_text("utf-8")))
    assert stored("ScaledObject", found) == found
