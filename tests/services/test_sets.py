"""Services that are manifests, against the API server double: credentials, plans, states."""

import base64
from pathlib import Path

import pytest

from cloud_assets.services.catalogue import chosen, services
from cloud_assets.services.manifests import minio
from cloud_assets.services.manifests.credentials import Credentials
from cloud_assets.services.service import Service
from cloud_assets.services.sets import ManifestSet, keep
from cloud_assets.services.site import Site
from cloud_assets.settings import Settings
from resources.errors import NeedsRepair, UsageError
from resources.kubernetes import Kubernetes, Object, Reference
from tests.doubles.kubernetes import ApiServer
from tests.services.conftest import with_services

DRAWN = Credentials("keys", "default", ("secret",), {"user": "ai-how"})
REFERENCE = Reference("v1", "Secret", "keys", "default")


@pytest.fixture
def cluster(api_server: ApiServer, tmp_path: Path) -> Kubernetes:
    return Kubernetes(api_server.kubeconfig(tmp_path))


def value(cluster: Kubernetes, key: str) -> str:
    found = cluster.get(REFERENCE)
    assert found is not None
    return base64.b64decode(found["data"][key]).decode()


def put_secret(api_server: ApiServer, **values: str) -> None:
    """As somebody's own."""
    encoded = {key: base64.b64encode(each.encode()).decode() for key, each in values.items()}
    about = {"name": "keys", "namespace": "default"}
    api_server.store.put({"apiVersion": "v1", "kind": "Secret", "metadata": about, "data": encoded})


def test_a_secret_without_a_key_is_not_used(api_server: ApiServer, cluster: Kubernetes) -> None:
    put_secret(api_server, user="somebody")
    with pytest.raises(NeedsRepair, match="it lacks secret") as caught:
        keep(cluster, DRAWN)
    assert caught.value.hint == "add the keys, or delete the Secret to have it drawn anew"


def test_a_secret_is_drawn_where_there_is_none(cluster: Kubernetes) -> None:
    change, _ = keep(cluster, DRAWN)
    assert str(change) == "Secret default/keys created"
    assert value(cluster, "user") == "ai-how"
    assert len(value(cluster, "secret")) >= 32


def test_somebodys_own_secret_stays(api_server: ApiServer, cluster: Kubernetes) -> None:
    put_secret(api_server, user="somebody", secret="chosen")
    change, _ = keep(cluster, DRAWN)
    assert (change.outcome, value(cluster, "secret")) == ("unchanged", "chosen")


def test_two_secrets_are_never_alike(cluster: Kubernetes) -> None:
    seen = set()
    for _ in range(2):
        keep(cluster, DRAWN)
        seen.add(value(cluster, "secret"))
        cluster.delete(REFERENCE)
    assert len(seen) == 2


def test_what_follows_a_secret_changes_with_it(api_server: ApiServer, cluster: Kubernetes) -> None:
    versions = []
    for secret in ("one", "one", "two"):
        put_secret(api_server, user="somebody", secret=secret)
        versions += [keep(cluster, DRAWN)[1] for _ in range(2)]
    assert versions[0] == versions[1]
    assert versions[3] != versions[5]


def test_a_plan_draws_nothing(cluster: Kubernetes) -> None:
    change, _ = keep(cluster, DRAWN, dry_run=True)
    assert (change.outcome, cluster.get(REFERENCE)) == ("created", None)


@pytest.fixture
def site(cluster: Kubernetes) -> Site:
    settings = with_services(services={"namespace": "spaced", "minio": {}, "timeout_seconds": 0.5})
    return Site(settings, cluster)


def only(site: Site) -> Service:
    [service] = services(site.settings)
    return service


def test_a_plan_of_nothing_yet_names_all_and_makes_nothing(
    site: Site, api_server: ApiServer
) -> None:
    changes = only(site).convergence.plan(site)
    assert {each.outcome for each in changes} == {"created"}
    assert {each.reference.kind for each in changes} == {
        "Namespace", "Secret", "PersistentVolumeClaim", "Service", "StatefulSet", "Bucket",
    }  # fmt: skip
    assert [each for each in api_server.requests if not each.startswith("GET")] == [
        each for each in api_server.requests if "dryRun=All" in each
    ]
    assert only(site).convergence.status(site).state == "absent"


def test_what_does_not_come_up_in_time_needs_somebody(site: Site) -> None:
    with pytest.raises(NeedsRepair, match=r"bring minio up within 0\.5 s") as caught:
        only(site).convergence.converge(site)
    assert "services.timeout_seconds" in str(caught.value.hint)
    assert only(site).convergence.status(site).state == "starting"


def test_what_left_the_manifests_is_removed_and_data_is_kept(
    site: Site, api_server: ApiServer
) -> None:
    def manifests(settings: Settings, version: str) -> list[Object]:
        return [
            each for each in minio.manifests(settings, version) if each["kind"] != "StatefulSet"
        ]

    fewer = ManifestSet("minio", lambda settings, version: manifests(settings, version)[1:])
    ManifestSet("minio", manifests).converge(site)
    changes = fewer.converge(site)
    assert [str(each) for each in changes if each.outcome == "deleted"] == []
    none = ManifestSet("minio", lambda *_: [])
    deleted = [str(each) for each in none.converge(site) if each.outcome == "deleted"]
    assert deleted == ["Service spaced/minio deleted"]


def test_two_namespaces_of_one_cluster_let_each_other_be(cluster: Kubernetes) -> None:
    def without_pods(settings: Settings, version: str) -> list[Object]:
        return minio.manifests(settings, version)[:2]

    sites = [
        Site(with_services(services={"namespace": each, "minio": {}}), cluster)
        for each in ("one", "two")
    ]
    outcomes = [
        {each.outcome for each in ManifestSet("minio", without_pods).converge(site)}
        for site in [*sites, *sites]
    ]
    assert outcomes == [{"created"}, {"created"}, {"unchanged"}, {"unchanged"}]


def test_a_name_that_is_no_service_of_ours() -> None:
    with pytest.raises(UsageError, match="`mlflow` is no service") as caught:
        chosen(with_services(services={"minio": {}}), ("mlflow",))
    assert caught.value.hint == "they are minio"


def test_the_chosen_come_in_the_order_of_what_they_need() -> None:
    found = chosen(with_services(), ("mlflow", "minio"))
    assert [each.name for each in found] == ["minio", "mlflow"]
