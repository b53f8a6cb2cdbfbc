"""Every manifest of ours against KServe's schema; the stored schema against a real cluster's.

AI_HOW_WRITE_GOLDEN=1 writes the stored ones anew from the cluster.
"""

import json
import os
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from resources.kserve.manifests import inference_service
from resources.kserve.runtimes import serving_runtimes
from tests.resources.kserve.crd_schema import SCHEMAS, cut, stored, whole
from tests.resources.kserve.test_manifests import GPU, SERVABLE, SITE
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
    if os.environ.get("AI_HOW_WRITE_GOLDEN") == "1":
        path = SCHEMAS / f"{kind.lower()}.json"
        path.write_text(json.dumps(found, sort_keys=True, separators=(",", ":")) + "\n", "utf-8")
    assert stored(kind) == found
