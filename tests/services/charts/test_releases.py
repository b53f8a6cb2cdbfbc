"""Services that are Helm releases, with helm in memory and the API server double."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cloud_assets.services.charts import watching
from cloud_assets.services.charts.releases import Releases
from cloud_assets.services.site import Site
from cloud_assets.settings import Settings
from resources.errors import NeedsRepair, TransientError
from resources.helm import Chart, Installation
from resources.kubernetes import Change, Kubernetes, Object, Reference
from tests.doubles.charts import write_chart
from tests.doubles.helm import MemoryHelm
from tests.doubles.kubernetes import ApiServer

WEB = Reference("v1", "ConfigMap", "web", "apart")
SERVER = Reference("apps/v1", "Deployment", "server", "apart")
PLAIN = """apiVersion: v1
kind: ConfigMap
metadata:
  name: web
data:
  greeting: {{ .Values.greeting }}
"""
WORKLOAD = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: server
spec:
  replicas: 1
"""
BESIDE: Object = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "beside", "namespace": "apart"},
    "data": {"a": "b"},
}


class ApplyingHelm(MemoryHelm):
    """Makes what it renders on the double as helm does: with its notes, and what it is told up."""

    def __init__(self, server: ApiServer) -> None:
        super().__init__()
        self.server = server
        self.is_up = True

    def install_or_upgrade(self, wanted: Installation, **how: Any) -> list[Change]:
        notes = {
            "meta.helm.sh/release-name": wanted.release,
            "meta.helm.sh/release-namespace": wanted.namespace,
        }
        for each in self.render(wanted):
            about = {"namespace": wanted.namespace, **each["metadata"], "annotations": notes}
            self.server.store.put({**each, "metadata": about, **self._status(each)})
        return super().install_or_upgrade(wanted, **how)

    def _status(self, each: Object) -> Object:
        if each["kind"] != "Deployment":
            return {}
        counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 1)
        said = {"type": "Available", "status": "False", "message": "no pod is up"}
        return {"status": {"observedGeneration": 99, **counts} if self.is_up else {
            "conditions": [said]}}  # fmt: skip


@pytest.fixture
def helm(api_server: ApiServer) -> ApplyingHelm:
    return ApplyingHelm(api_server)


@pytest.fixture
def site(api_server: ApiServer, helm: ApplyingHelm, tmp_path: Path) -> Site:
    settings = Settings.model_validate({"services": {"timeout_seconds": 5}})
    found = Site(settings, Kubernetes(api_server.kubeconfig(tmp_path)))
    found.__dict__["helm"] = helm
    return found


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    return write_chart(tmp_path, {"plain.yaml": PLAIN, "server.yaml": WORKLOAD})


def releases(chart: Path, *, adopts: bool = False, beside: Sequence[Object] = ()) -> Releases:
    wanted = Installation("web", Chart(str(chart)), "apart", {"greeting": "hi"}, adopts=adopts)
    return Releases("web", lambda _: [wanted], manifests=lambda _: beside)


def of_somebody(server: ApiServer, **about: Any) -> None:
    entry = {"manager": "argocd-controller", "operation": "Update", "time": "2026-01-01T00:00:00Z"}
    metadata = {"name": "web", "namespace": "apart", "managedFields": [entry], **about}
    server.store.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def test_what_is_there_already_is_not_overwritten(
    site: Site, chart: Path, api_server: ApiServer, helm: ApplyingHelm
) -> None:
    of_somebody(api_server)
    with pytest.raises(NeedsRepair) as caught:
        releases(chart).converge(site)
    assert str(caught.value) == (
        f"Helm could not install {chart} as apart/web: "
        "what it would make is there already, made by `argocd-controller`: ConfigMap apart/web"
    )
    assert caught.value.hint == (
        "set `services.web.adopt: true` to take over what is there, or take `web` out of "
        "`services` to leave it to its owner"
    )
    assert helm.releases == {}


def test_what_is_there_already_is_taken_over_when_asked(
    site: Site, chart: Path, api_server: ApiServer
) -> None:
    of_somebody(api_server)
    assert releases(chart, adopts=True).converge(site) == [
        Change(WEB, "changed", ("its owner",)),
        Change(SERVER, "created"),
    ]


def test_a_second_run_changes_nothing(site: Site, chart: Path) -> None:
    first, second = (releases(chart).converge(site) for _ in range(2))
    assert {each.outcome for each in first} == {"created"}
    assert second == [Change(WEB, "unchanged"), Change(SERVER, "unchanged")]
    assert releases(chart).plan(site) == second


def test_what_somebody_removed_is_told_and_made_again(
    site: Site, chart: Path, helm: ApplyingHelm
) -> None:
    releases(chart).converge(site)
    site.kubernetes.delete(WEB)
    wanted = [Change(WEB, "created"), Change(SERVER, "unchanged")]
    assert releases(chart).plan(site) == wanted
    assert releases(chart).converge(site) == wanted
    assert helm.releases["apart", "web"].revision == 2


def test_a_plan_before_the_first_time_says_what_would_be_made_and_what_taken(
    site: Site, chart: Path, api_server: ApiServer
) -> None:
    of_somebody(api_server)
    planned = releases(chart, adopts=True).plan(site)
    assert planned == [Change(WEB, "changed"), Change(SERVER, "created")]


def test_what_does_not_come_up_is_told_in_the_clusters_words(
    site: Site, chart: Path, helm: ApplyingHelm
) -> None:
    helm.is_up = False
    site = Site(Settings.model_validate({"services": {"timeout_seconds": 0.5}}), site.kubernetes)
    site.__dict__["helm"] = helm
    with pytest.raises(TransientError, match="says Available=False: no pod is up"):
        releases(chart).converge(site)
    assert releases(chart).status(site).reason == (
        "Deployment apart/server: Deployment server says Available=False: no pod is up"
    )


def test_how_it_stands(site: Site, chart: Path) -> None:
    assert releases(chart).status(site).state == "absent"
    releases(chart).converge(site)
    assert releases(chart).status(site).state == "running"


def test_what_a_chart_refers_to_is_there_before_and_goes_behind(site: Site, chart: Path) -> None:
    made = releases(chart, beside=[BESIDE]).converge(site)
    assert [str(each) for each in made[:2]] == [
        "Namespace apart created",
        "ConfigMap apart/beside created",
    ]
    gone = [each for each in releases(chart).converge(site) if each.outcome == "deleted"]
    assert gone == [Change(Reference.of(BESIDE), "deleted")]


def test_a_helm_that_ran_out_of_time_tells_what_the_cluster_said_last(
    site: Site, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_LOOK_SECONDS", 0.01)
    about = {"name": SERVER.name, "namespace": "apart"}
    said = {"type": "Available", "status": "False", "message": "no pod is up"}
    status = {"conditions": [said]}
    api_server.store.put(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": about, "status": status}
    )
    with watching.Watched(site.kubernetes, [SERVER]) as watched:

        def act() -> None:
            while not watched.reason:
                time.sleep(0.01)
            raise TransientError("Helm", "install it", "context deadline exceeded")

        with pytest.raises(TransientError) as caught:
            watched.through(act)
    assert caught.value.reason == (
        "Deployment apart/server is not up: Deployment server says Available=False: no pod is up"
    )


def test_another_failure_of_helms_stays_as_it_is(site: Site) -> None:
    def act() -> None:
        raise TransientError("Helm", "install it", "connection refused")

    with (
        watching.Watched(site.kubernetes, [SERVER]) as watched,
        pytest.raises(TransientError, match="connection refused"),
    ):
        watched.through(act)
