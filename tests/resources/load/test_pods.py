"""The Job of the load clients, and what comes back from it on a real cluster."""

import json
import random
from unittest import mock

import dagster as dg
import pytest

from resources.errors import PermanentError, TransientError
from resources.kserve import KServe, Site
from resources.kubernetes import Kind, Kubernetes
from resources.load.pipes_log import LogMessages
from resources.load.pods import LoadPods, job_manifest, plan_manifest, run_in_pods
from resources.load.run import LoadPlan, LoadResult, PlannedRequest
from resources.serving import Servable
from tests.resources.kserve.test_manifests import same
from tests.testbed import pins

PODS = LoadPods("models", "load:1", workers=2)


def test_a_job_ends_by_itself_and_knows_its_clients() -> None:
    environment = {"DAGSTER_PIPES_CONTEXT": "…"}
    assert same("load_job", job_manifest("ai-how-load-1", PODS, environment, deadline=90.5))


def test_the_plan_goes_with_its_job() -> None:
    job = {"metadata": {"uid": "u-1"}}
    [owner] = plan_manifest("ai-how-load-1", "models", b"x", job)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Job", "u-1")


def plan_for(url: str, *, requests: int = 40, prompt: str = "Question: ") -> LoadPlan:
    return LoadPlan(
        url=url, model="qa", prompts=({"prompt": prompt},), max_tokens=4,
        requests=tuple(PlannedRequest(number / 20, "steady", 0) for number in range(requests)),
    )  # fmt: skip


def run(plan: LoadPlan, cluster: Kubernetes, pods: LoadPods) -> LoadResult:
    """From an asset, as Pipes needs one."""
    results: list[LoadResult] = []

    @dg.asset
    def measured(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        results.append(run_in_pods(plan, context, cluster=cluster, pods=pods))
        return dg.MaterializeResult(metadata={"rows": len(results[0].rows)})

    dg.materialize([measured])
    return results[0]


def test_a_plan_that_no_config_map_holds_is_refused() -> None:
    noise = random.Random(1).randbytes(700_000).hex()
    with pytest.raises(PermanentError, match="hand its plan to the pods"):
        run(plan_for("http://127.0.0.1:1", prompt=noise), Kubernetes(None), PODS)


def test_the_messages_of_all_pods_are_taken_and_nothing_else() -> None:
    reader, handler = LogMessages(2), mock.Mock()
    log = "\n".join(
        json.dumps({"__dagster_pipes_version": "0.1", "method": method, "params": {}})
        for method in ("opened", "report_custom_message", "closed")
    )
    with reader.read_messages(handler):
        reader.read([f"noise\n{log}", log, "7"])
    methods = [call.args[0]["method"] for call in handler.handle_message.call_args_list]
    assert methods == ["opened", "report_custom_message", "closed"] * 2
    assert reader.expected_writer_count == 2


@pytest.fixture
def served(kubernetes: Kubernetes, site: Site, servable: Servable) -> str:
    """The address of a model server on the cluster."""
    return KServe(kubernetes, site).serve(servable, timeout_seconds=240).slot.url


@pytest.mark.testbed
@pytest.mark.parametrize("workers", [1, 2])
def test_every_request_comes_back_as_a_row(
    kubernetes: Kubernetes, site: Site, served: str, workers: int
) -> None:
    pods = LoadPods(site.namespace, pins.LOAD_IMAGE, workers, cpu="100m", memory="128Mi")
    plan = plan_for(served)
    result = run(plan, kubernetes, pods)
    assert [each.number for each in result.rows] == list(range(len(plan.requests)))
    assert [each.intended for each in result.rows] == [each.offset for each in plan.requests]
    assert {each.error for each in result.rows} == {None}
    assert kubernetes.listed(Kind("batch/v1", "Job"), namespace=site.namespace) == []


@pytest.mark.testbed
def test_clients_that_cannot_start_are_told_with_their_reason(
    kubernetes: Kubernetes, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.load.pods._PLACING_SECONDS", 25)
    monkeypatch.setattr("resources.load.pods.START_SECONDS", 0)
    monkeypatch.setattr(LoadPlan, "longest_seconds", 5.0)
    pods = LoadPods(site.namespace, "docker.io/ai-how/nowhere:1", cpu="100m", memory="128Mi")
    with pytest.raises(TransientError, match="nowhere"):
        run(plan_for("http://127.0.0.1:1", requests=1), kubernetes, pods)
