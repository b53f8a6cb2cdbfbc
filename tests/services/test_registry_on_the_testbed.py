"""PostgreSQL, the buckets and MLflow before them on a real cluster, as the graph makes them."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
import httpx
import pytest

from cloud_assets.services import assets
from cloud_assets.services.access import database, registry_url, s3, secret
from cloud_assets.services.catalogue import services
from cloud_assets.services.checks import build_checks
from cloud_assets.services.manifests import minio
from cloud_assets.services.site import Site
from cloud_assets.services.trials.database import rows_survive, settings_in_force
from cloud_assets.services.trials.registry import run_and_version_are_kept
from resources.errors import NeedsRepair
from resources.kubernetes import Kind, Object, Reference, port_forward, rolled_out
from resources.mlflow import Registration, Registry
from resources.postgresql import Database
from tests.services.testbed import SMALL, site
from tests.testbed import pins
from tests.testbed.cluster import Cluster

pytestmark = pytest.mark.testbed

SPACE = "registry"
SERVICES: dict[str, Any] = {
    "minio": {"server": "versitygw", **SMALL},
    "postgresql": {
        **SMALL,
        "max_connections": 57,
        "parameters": {"shared_buffers": "32MB", "log_min_duration_statement": 500},
    },
    "mlflow": {"replicas": 2, "workers": 1, "cpu": "50m", "memory": "1Gi"},
}


@pytest.fixture(scope="module")
def made(cluster: Cluster) -> Iterator[Site]:
    """The site with its three services up."""
    found = site(cluster.kubeconfig, SPACE, **SERVICES)
    yield found
    cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


@pytest.fixture(scope="module")
def first(made: Site) -> dg.ExecuteInProcessResult:
    return converge(made)


def converge(found: Site) -> dg.ExecuteInProcessResult:
    """The job, as Dagster runs it: every asset and every check."""
    made = assets.build_assets(found.settings)
    graph = dg.Definitions(
        assets=made,
        asset_checks=build_checks(found.settings),
        jobs=assets.build_jobs(made),
        resources={"site": found},
    )
    job = graph.resolve_job_def("converge_services")
    return job.execute_in_process(raise_on_error=False)


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, tuple[bool, str | None]]:
    return {
        each.check_name: (each.passed, each.description)
        for each in result.get_asset_check_evaluations()
    }


def test_the_graph_makes_them_and_tries_them_out(first: dg.ExecuteInProcessResult) -> None:
    assert evaluations(first) == {
        "buckets_work": (True, None),
        "settings_in_force": (True, None),
        "rows_survive": (True, None),
        "run_and_version_kept": (True, None),
    }
    assert first.success


def test_a_second_run_changes_nothing_and_says_so(
    made: Site, first: dg.ExecuteInProcessResult
) -> None:
    again = converge(made)
    for name in ("minio", "postgresql", "mlflow"):
        [event] = again.asset_materializations_for_node(name)
        assert event.metadata["changes"].value == []
        assert int(str(event.metadata["objects_unchanged"].value)) > 3


def test_no_secret_is_in_any_event(made: Site, first: dg.ExecuteInProcessResult) -> None:
    with database(made) as asked, s3(made) as server:
        secrets = (asked.password, server._keys[1])
    told = "".join(str(event) for event in first.all_events)
    assert not any(each in told for each in secrets)


def test_parameters_are_in_force(made: Site, first: dg.ExecuteInProcessResult) -> None:
    outcome = settings_in_force(made)
    assert (outcome.why, outcome.figures["max_connections"]) == ("", 57)
    with database(made) as asked:
        assert asked.query("SHOW shared_buffers") == [("32MB",)]
        assert asked.query("SHOW log_min_duration_statement") == [("500ms",)]


def test_a_changed_parameter_comes_into_force(
    cluster: Cluster, first: dg.ExecuteInProcessResult
) -> None:
    other = {**SERVICES, "postgresql": {**SERVICES["postgresql"], "max_connections": 58}}
    found = site(cluster.kubeconfig, SPACE, **other)
    assert settings_in_force(site(cluster.kubeconfig, SPACE, **SERVICES)).passed
    [service] = [each for each in services(found.settings) if each.name == "postgresql"]
    changes = service.convergence.converge(found)
    assert [each.reference.kind for each in changes if each.outcome == "changed"] == [
        "ConfigMap", "StatefulSet",
    ]  # fmt: skip
    assert settings_in_force(found).figures["max_connections"] == 58
    told = settings_in_force(site(cluster.kubeconfig, SPACE, **SERVICES))
    assert told.why == "max_connections is 58, not 57"
    service.convergence.converge(site(cluster.kubeconfig, SPACE, **SERVICES))


def test_rows_survive_a_restart_of_the_pod(made: Site, first: dg.ExecuteInProcessResult) -> None:
    outcome = rows_survive(made, restart=True)
    assert outcome.passed, outcome.why
    assert outcome.figures["restarted"]
    assert int(outcome.figures["starts_seen"]) > 1


def test_a_wrong_password_is_refused_and_not_repeated(
    made: Site, first: dg.ExecuteInProcessResult
) -> None:
    with database(made) as asked:
        wrong = Database(asked.host, asked.port, asked.name, asked.user, "not-the-password")
        with pytest.raises(NeedsRepair, match="authentication failed") as caught:
            wrong.query("SELECT 1")
    assert "not-the-password" not in str(caught.value)


def test_the_superuser_cannot_come_from_the_network(
    made: Site, first: dg.ExecuteInProcessResult
) -> None:
    with database(made) as asked:
        root = Database(asked.host, asked.port, "postgres", "postgres", asked.password)
        with pytest.raises(NeedsRepair, match="authentication failed"):
            root.query("SELECT 1")


def test_a_run_and_a_version_are_found_below_mlflow(
    made: Site, first: dg.ExecuteInProcessResult
) -> None:
    outcome = run_and_version_are_kept(made)
    assert (outcome.passed, outcome.why) == (True, "")
    assert str(outcome.figures["artifacts"]).startswith("s3://mlflow-artifacts/")


def test_both_replicas_are_of_one_schema_and_answer(
    made: Site, first: dg.ExecuteInProcessResult
) -> None:
    cluster = made.kubernetes
    mlflow = Reference("v1", "Service", "mlflow", SPACE)
    pods = cluster.listed(
        Kind("v1", "Pod"), namespace=SPACE, labels={"app.kubernetes.io/name": "mlflow"}
    )
    assert len({each["spec"]["nodeName"] for each in pods}) == 2
    assert all(restarts(each) == 0 for each in pods)
    with port_forward(cluster, mlflow, 5000) as port:
        answers = [httpx.get(f"http://127.0.0.1:{port}/version").text for _ in range(3)]
    assert set(answers) == {"3.17.2"}


def restarts(pod: Object) -> int:
    status = pod["status"]
    all_of_them = [*status["containerStatuses"], *status["initContainerStatuses"]]
    return sum(int(each["restartCount"]) for each in all_of_them)


def test_a_foreign_host_is_refused(made: Site, first: dg.ExecuteInProcessResult) -> None:
    with registry_url(made) as url:
        asked = {"headers": {"Host": "evil.example"}, "timeout": 20}
        told = httpx.get(f"{url}/api/2.0/mlflow/experiments/get?experiment_id=0", **asked)  # type: ignore[arg-type]
    assert told.status_code == 403


def test_a_trainers_artifact_goes_to_the_bucket_and_not_through_mlflow(
    made: Site, cluster: Cluster, first: dg.ExecuteInProcessResult
) -> None:
    """As a training pod does it: MLflow's own client with the keys of the bucket."""
    name = f"trainer-{uuid.uuid4().hex[:6]}"
    made.kubernetes.apply(trainer(name))
    ended = Reference("batch/v1", "Job", name, SPACE)
    try:
        cluster.kubectl(
            "wait", f"job/{name}", "--for=condition=Complete", "--timeout=120s", "-n", SPACE
        )
        told = cluster.kubectl("logs", f"job/{name}", "-n", SPACE).strip().splitlines()[-1]
    finally:
        made.kubernetes.delete(ended)
    bucket, _, prefix = told.removeprefix("s3://").partition("/")
    with s3(made) as server:
        assert server.names(bucket, prefix) == (f"{prefix}/weights.txt",)
        assert server.get(bucket, f"{prefix}/weights.txt") == b"learned"


def test_a_report_of_the_platform_goes_to_the_bucket_too(
    made: Site, first: dg.ExecuteInProcessResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = secret(made, minio.credentials(made.settings))
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    with registry_url(made) as url, s3(made) as server:
        monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", server.endpoint)
        registry = Registry(url)
        wanted = Registration(
            model="qa", key="qa.a.1", digest="d" * 64, source="s3://models/qa", run="a", step=1
        )
        version, _ = registry.register(wanted)
        registry.attach(version, "report.html", "<p>fast</p>")
        names = server.names("mlflow-artifacts")
        [name] = [
            each for each in names if each.endswith(f"{version.run_id}/artifacts/report.html")
        ]
        assert server.get("mlflow-artifacts", name) == b"<p>fast</p>"


TRAINING = """
import mlflow
mlflow.set_experiment("training")
with mlflow.start_run() as run:
    mlflow.log_text("learned", "weights.txt")
print(run.info.artifact_uri)
"""


def trainer(name: str) -> Object:
    def secret(key: str) -> Object:
        return {
            "name": key,
            "valueFrom": {"secretKeyRef": {"name": "minio-credentials", "key": key}},
        }

    plain = {
        "MLFLOW_TRACKING_URI": "http://mlflow:5000",
        "MLFLOW_S3_ENDPOINT_URL": "http://minio:9000",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    container = {
        "name": "train",
        "image": pins.MLFLOW_IMAGE,
        "command": ["python3", "-c", TRAINING],
        "env": [
            *({"name": key, "value": each} for key, each in plain.items()),
            secret("AWS_ACCESS_KEY_ID"),
            secret("AWS_SECRET_ACCESS_KEY"),
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {
            "backoffLimit": 0,
            "template": {"spec": {"containers": [container], "restartPolicy": "Never"}},
        },
    }


def test_one_replica_less_is_not_noticed(made: Site, first: dg.ExecuteInProcessResult) -> None:
    cluster, labels = made.kubernetes, {"app.kubernetes.io/name": "mlflow"}
    pod = cluster.listed(Kind("v1", "Pod"), namespace=SPACE, labels=labels)[0]
    gone = Reference("v1", "Pod", pod["metadata"]["name"], SPACE)
    with ThreadPoolExecutor(1) as pool:
        deleted = pool.submit(cluster.delete, gone, wait_seconds=90)
        outcomes = [run_and_version_are_kept(made)]
        while not deleted.done():
            outcomes.append(run_and_version_are_kept(made))
        assert deleted.result()
    assert {each.why for each in outcomes} == {""}
    deployment = Reference("apps/v1", "Deployment", "mlflow", SPACE)
    cluster.wait(deployment, rolled_out(), timeout_seconds=120)


def test_replicas_that_start_together_on_an_empty_database_do_not_collide(
    made: Site, cluster: Cluster, first: dg.ExecuteInProcessResult
) -> None:
    cluster.kubectl("scale", "deployment/mlflow", "--replicas=0", "-n", SPACE)
    with database(made) as asked:
        asked.query("DROP OWNED BY mlflow CASCADE")
    with ThreadPoolExecutor(2) as pool:
        [service] = [each for each in services(made.settings) if each.name == "mlflow"]
        done = [pool.submit(service.convergence.converge, made) for _ in range(2)]
        assert all(each.result() for each in done)
    pods = made.kubernetes.listed(
        Kind("v1", "Pod"), namespace=SPACE, labels={"app.kubernetes.io/name": "mlflow"}
    )
    living = [each for each in pods if "deletionTimestamp" not in each["metadata"]]
    assert [restarts(each) for each in living] == [0, 0]
    assert run_and_version_are_kept(made).passed
