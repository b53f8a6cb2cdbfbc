"""Manifests for KServe as golden files, and reading back what they are for.

AI_HOW_WRITE_GOLDEN=1 writes the files anew; look at the difference before it is committed.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from resources.errors import PermanentError
from resources.kserve import Bucket, RuntimeImage, Site
from resources.kserve.manifests import (
    altered,
    as_started,
    endpoint,
    inference_service,
    routed,
    served,
    site_manifests,
    store_secret,
)
from resources.kserve.runtimes import serving_runtimes
from resources.serving import Route, Servable

GOLDEN = Path(__file__).parent / "golden"
GPU = RuntimeImage(
    "vllm",
    "docker.io/vllm/vllm-openai:v0.24.0",
    cpu="4",
    memory="16Gi",
    gpus=1,
    arguments=("--gpu-memory-utilization", "0.30"),
)
SITE = Site(
    "models",
    {
        "mlx": RuntimeImage("mlx", "docker.io/ai-how/mlx:1"),
        "vllm": GPU,
        "vllm-cpu": RuntimeImage("vllm-cpu", "docker.io/vllm/vllm-openai-cpu:v0.24.0", cpu="2"),
    },
    Bucket("http://minio.storage.svc:9000"),
)
SERVABLE = Servable(
    "qa.run.100", "qa", "a" * 64, "s3://models/checkpoints/qa.run.100/f/model", "vllm"
)
ROUTE = Route("qa.run.100", "a" * 64, "http://10.0.0.7:80", "qa")


def same(name: str, manifests: Any) -> bool:
    """Whether the golden file says the same; with the variable set it does afterwards."""
    text = yaml.safe_dump(manifests, sort_keys=False)
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("AI_HOW_WRITE_GOLDEN") == "1":
        path.write_text(text)
    return path.read_text() == text


def test_an_inference_service_on_a_gpu() -> None:
    assert same("inference_service", inference_service(SERVABLE, SITE))


def test_an_inference_service_on_a_cpu() -> None:
    small = replace(SERVABLE, runtime="mlx")
    assert same("inference_service_cpu", inference_service(small, SITE))


def test_an_endpoint() -> None:
    assert same("endpoint", endpoint("qa", ROUTE, SITE))


def test_what_a_site_needs_before_the_first_checkpoint() -> None:
    assert same("site", site_manifests(SITE))


def test_credentials_for_a_server_of_ones_own() -> None:
    bucket = Bucket("http://minio.storage.svc:9000", access_key="who", secret_key="what")
    assert same("store_secret", store_secret(replace(SITE, bucket=bucket)))


def test_credentials_of_somebody_else_are_left_alone() -> None:
    kinds = [each["kind"] for each in site_manifests(SITE)]
    assert "Secret" not in kinds


def test_credentials_show_in_no_error() -> None:
    assert "what" not in repr(Bucket(access_key="who", secret_key="what"))


def test_credentials_for_aws_name_no_endpoint() -> None:
    secret = store_secret(replace(SITE, bucket=Bucket(region="eu-1")))
    assert secret["metadata"]["annotations"] == {
        "serving.kserve.io/s3-usehttps": "1",
        "serving.kserve.io/s3-region": "eu-1",
    }


def test_a_storage_uri_ends_with_a_slash() -> None:
    """Without it KServe 0.20 takes every key that begins alike."""
    for location in (SERVABLE.location, SERVABLE.location + "/"):
        made = inference_service(replace(SERVABLE, location=location), SITE)
        assert (
            made["spec"]["predictor"]["model"]["storageUri"] == f"{SERVABLE.location.rstrip('/')}/"
        )


@pytest.mark.parametrize(
    ("gpus", "nodes", "selector"),
    [
        (0, None, None),
        (0, {"zone": "a"}, {"zone": "a"}),
        (1, None, {"nvidia.com/gpu.present": "true"}),
        (1, {"gpu": "h100"}, {"gpu": "h100"}),
        (1, {}, None),
    ],
)
def test_a_runtime_runs_on_the_nodes_that_are_named(
    gpus: int, nodes: dict[str, str] | None, selector: dict[str, str] | None
) -> None:
    image = replace(GPU, gpus=gpus, nodes=nodes)
    [runtime] = serving_runtimes(replace(SITE, runtimes={"vllm": image}))
    assert runtime["spec"].get("nodeSelector") == selector
    tolerated = [each["key"] for each in runtime["spec"]["tolerations"]]
    assert ("nvidia.com/gpu" in tolerated) == bool(gpus)


def test_what_servers_compile_is_kept_where_a_claim_is_named() -> None:
    [runtime] = serving_runtimes(replace(SITE, runtimes={"vllm": replace(GPU, cache="kernels")}))
    volumes = {each["name"]: each for each in runtime["spec"]["volumes"]}
    assert volumes["cache"]["persistentVolumeClaim"] == {"claimName": "kernels"}


def test_requests_under_way_end_before_kubernetes_kills_their_pod() -> None:
    [runtime] = serving_runtimes(replace(SITE, runtimes={"vllm": GPU}))
    [container] = runtime["spec"]["containers"]
    given = container["args"][container["args"].index("--shutdown-timeout") + 1]
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pause + int(given) < 30


def test_a_pod_leaves_a_lost_node_after_half_a_minute() -> None:
    """Kubernetes adds tolerations of five minutes where there are none."""
    for runtime in serving_runtimes(SITE):
        found = runtime["spec"]["tolerations"]
        stays = {each["key"]: each["tolerationSeconds"] for each in found if "node." in each["key"]}
        assert stays == {
            "node.kubernetes.io/unreachable": 30,
            "node.kubernetes.io/not-ready": 30,
        }


def test_what_a_slot_serves_is_read_back() -> None:
    assert served(inference_service(SERVABLE, SITE)) == SERVABLE


def test_what_is_behind_an_endpoint_is_read_back() -> None:
    assert routed(endpoint("qa", ROUTE, SITE)) == ("qa", ROUTE)


@pytest.mark.parametrize("said", [None, "", "{", "[]", "7", '{"key": 1}', '{"more": 1}'])
def test_a_record_that_somebody_damaged_is_named(said: str | None) -> None:
    found = inference_service(SERVABLE, SITE)
    found["metadata"]["annotations"].pop("ai-how/serves")
    if said is not None:
        found["metadata"]["annotations"]["ai-how/serves"] = said
    with pytest.raises(PermanentError, match="read what InferenceService qa-run-100"):
        served(found)


def test_a_changed_slot_waits_for_no_second_gpu_and_is_not_called_ready_without_a_pod() -> None:
    strategy = inference_service(SERVABLE, SITE)["spec"]["predictor"]["deploymentStrategy"]
    assert strategy == {"type": "Recreate"}


def test_a_slot_tells_how_it_was_started_whatever_the_settings_say_since() -> None:
    found = inference_service(SERVABLE, SITE)
    assert as_started(found) == found


@pytest.mark.parametrize("annotation", ["ai-how/started", "ai-how/serves"])
def test_a_slot_whose_record_is_damaged_does_not_tell_how_it_was_started(annotation: str) -> None:
    found = inference_service(SERVABLE, SITE)
    found["metadata"]["annotations"][annotation] = "{"
    assert as_started(found) is None


def edited(**predictor: Any) -> dict[str, Any]:
    found = inference_service(SERVABLE, SITE)
    return {**found, "spec": {"predictor": {**found["spec"]["predictor"], **predictor}}}


def test_a_field_that_somebody_changed_is_named() -> None:
    assert altered(edited(minReplicas=2), inference_service(SERVABLE, SITE)) == (
        ".spec.predictor.minReplicas"
    )


def test_fields_that_others_added_are_no_matter() -> None:
    found = edited(timeout=60)
    found["status"] = {"conditions": []}
    assert altered(found, inference_service(SERVABLE, SITE)) == ""


def test_a_list_that_somebody_made_longer_is_named() -> None:
    model = inference_service(SERVABLE, SITE)["spec"]["predictor"]["model"]
    found = edited(model={**model, "args": [*model["args"], "--more"]})
    assert altered(found, inference_service(SERVABLE, SITE)).endswith(".model.args")


def test_a_selector_that_somebody_changed_is_named() -> None:
    found = endpoint("qa", ROUTE, SITE)
    found["spec"]["selector"] = {**found["spec"]["selector"], "app": "mine"}
    assert altered(found, endpoint("qa", ROUTE, SITE)) == ".spec.selector"


def runtime_of(site: Site) -> str:
    made: str = inference_service(SERVABLE, site)["spec"]["predictor"]["model"]["runtime"]
    return made


def test_another_image_is_another_runtime_so_that_what_serves_keeps_its_own() -> None:
    newer = replace(SITE, runtimes={"vllm": replace(GPU, image="docker.io/vllm/vllm-openai:v9")})
    assert runtime_of(newer) != runtime_of(SITE)


def test_arguments_of_the_server_are_no_part_of_its_runtime() -> None:
    other = replace(SITE, runtimes={"vllm": replace(GPU, arguments=("--max-model-len", "8192"))})
    assert runtime_of(other) == runtime_of(SITE)


def test_an_inference_service_has_a_runtime_that_the_site_has() -> None:
    names = [each["metadata"]["name"] for each in site_manifests(SITE)]
    assert runtime_of(SITE) in names
