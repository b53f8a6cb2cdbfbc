"""What every helm must do, as a class of tests to inherit; a subclass gives `helm`, `namespace`."""

import json
import traceback
from pathlib import Path

import pytest

from resources.errors import NeedsRepair, PermanentError
from resources.helm import Chart, Helm, Installation
from tests.doubles.charts import write_chart

PASSWORD = "hunter2-hunter2"


class HelmContract:
    """Each test has a chart of its own on disk."""

    @pytest.fixture
    def chart(self, tmp_path: Path) -> Path:
        return write_chart(tmp_path)

    @pytest.fixture
    def wanted(self, chart: Path, namespace: str) -> Installation:
        values = {"greeting": "hi", "password": PASSWORD}
        return Installation("web", Chart(str(chart)), namespace, values)

    def test_a_chart_that_is_not_there(self, helm: Helm, namespace: str, tmp_path: Path) -> None:
        absent = Installation("web", Chart(str(tmp_path / "absent")), namespace)
        with pytest.raises(NeedsRepair, match="not found"):
            helm.install_or_upgrade(absent)

    def test_a_chart_that_is_broken(self, helm: Helm, namespace: str, tmp_path: Path) -> None:
        chart = Chart(str(write_chart(tmp_path, {"broken.yaml": "kind: {{ .Values"})))
        with pytest.raises(PermanentError):
            helm.render(Installation("web", chart, namespace))

    def test_what_renders_to_no_yaml_is_not_quoted(
        self, helm: Helm, namespace: str, tmp_path: Path
    ) -> None:
        chart = Chart(str(write_chart(tmp_path, {"bad.yaml": "a: [{{ .Values.password }}\n"})))
        with pytest.raises(PermanentError) as caught:
            helm.render(Installation("web", chart, namespace, {"password": PASSWORD}))
        assert PASSWORD not in "".join(traceback.format_exception(caught.value))

    def test_a_chart_renders_to_objects(self, helm: Helm, wanted: Installation) -> None:
        found = {each["kind"]: each for each in helm.render(wanted)}
        assert sorted(found) == ["ConfigMap", "Secret"]
        assert found["ConfigMap"]["metadata"]["name"] == "web"
        assert found["ConfigMap"]["data"] == {"greeting": "hi"}

    def test_no_release_is_none(self, helm: Helm, namespace: str) -> None:
        assert helm.status("nothing", namespace) is None

    def test_removing_no_release_does_nothing(self, helm: Helm, namespace: str) -> None:
        assert not helm.uninstall("nothing", namespace)

    def test_a_release_is_installed_once(self, helm: Helm, wanted: Installation) -> None:
        made = [[str(each) for each in helm.install_or_upgrade(wanted)] for _ in range(2)]
        assert sorted(made[0]) == [
            f"ConfigMap {wanted.namespace}/web created",
            f"Secret {wanted.namespace}/web created",
        ]
        assert made[1] == []
        found = helm.status("web", wanted.namespace)
        assert found is not None
        assert (found.revision, found.status, found.chart, found.version) == (
            1,
            "deployed",
            "tiny",
            "0.1.0",
        )

    def test_what_a_release_was_given_is_read_back(self, helm: Helm, wanted: Installation) -> None:
        assert helm.values("web", wanted.namespace) is None
        assert helm.applied("web", wanted.namespace) == []
        helm.install_or_upgrade(wanted)
        kinds = {each["kind"] for each in helm.applied("web", wanted.namespace)}
        assert kinds == {"ConfigMap", "Secret"}
        assert helm.values("web", wanted.namespace) == wanted.values

    def test_what_would_be_applied_is_told_before(self, helm: Helm, wanted: Installation) -> None:
        assert sorted(each["kind"] for each in helm.planned(wanted)) == ["ConfigMap", "Secret"]
        assert helm.status("web", wanted.namespace) is None

    def test_definitions_that_a_chart_keeps_apart(
        self, helm: Helm, wanted: Installation, chart: Path
    ) -> None:
        assert helm.definitions(wanted) == []
        definition = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "gadgets.example.com"},
        }
        (chart / "crds").mkdir()
        (chart / "crds" / "gadget.yaml").write_text(json.dumps(definition), "utf-8")
        assert helm.definitions(wanted) == [definition]

    def test_an_upgrade_tells_paths_and_no_secret(self, helm: Helm, wanted: Installation) -> None:
        helm.install_or_upgrade(wanted)
        other = Installation(
            "web", wanted.chart, wanted.namespace, {"greeting": "ho", "password": "x"}
        )
        planned = helm.diff(other)
        assert helm.install_or_upgrade(other) == planned
        assert sorted(str(each) for each in planned) == [
            f"ConfigMap {wanted.namespace}/web changed: .data.greeting",
            f"Secret {wanted.namespace}/web changed: .stringData.password",
        ]

    def test_an_object_that_left_the_chart_is_deleted(
        self, helm: Helm, wanted: Installation, chart: Path
    ) -> None:
        helm.install_or_upgrade(wanted)
        (chart / "templates" / "secret.yaml").unlink()
        made = helm.install_or_upgrade(wanted)
        assert [str(each) for each in made] == [f"Secret {wanted.namespace}/web deleted"]

    def test_nothing_is_left_of_a_removed_release(self, helm: Helm, wanted: Installation) -> None:
        helm.install_or_upgrade(wanted)
        assert helm.uninstall("web", wanted.namespace)
        assert helm.status("web", wanted.namespace) is None
