"""The real helm without a cluster: rendering charts, and its own words for bad ones."""

from pathlib import Path

import pytest

from resources.errors import NeedsRepair, PermanentError, TransientError
from resources.helm import Chart, Helm, Installation
from tests.doubles import helm_program
from tests.doubles.charts import write_chart
from tests.doubles.kubernetes import kubeconfig

pytestmark = pytest.mark.real


@pytest.fixture
def program() -> Path:
    found = helm_program.found()
    if found is None:
        pytest.skip(helm_program.MISSING)
    return found


@pytest.fixture
def helm(program: Path) -> Helm:
    return Helm(program=program)


def installation(chart: Path, **values: object) -> Installation:
    return Installation("web", Chart(str(chart)), "space", values)


def test_a_template_that_is_no_template(helm: Helm, tmp_path: Path) -> None:
    chart = write_chart(tmp_path, {"broken.yaml": "kind: {{ .Values"})
    with pytest.raises(PermanentError, match="parse error"):
        helm.render(installation(chart))


def test_values_that_the_schema_refuses(helm: Helm, tmp_path: Path) -> None:
    schema = {"properties": {"greeting": {"type": "string"}}}
    chart = write_chart(tmp_path, schema=schema)
    with pytest.raises(PermanentError, match="greeting"):
        helm.render(installation(chart, greeting=4))


def test_a_secret_that_the_chart_speaks_of(helm: Helm, tmp_path: Path) -> None:
    template = '{{ fail (printf "bad password %s" .Values.password) }}'
    chart = write_chart(tmp_path, {"fails.yaml": template})
    with pytest.raises(PermanentError, match=r"bad password \*\*\*"):
        helm.render(installation(chart, password="hunter2-hunter2"))


def test_a_repository_that_is_away(helm: Helm) -> None:
    chart = Chart("tiny", repository="http://127.0.0.1:1/charts", version="1.0.0")
    with pytest.raises((TransientError, NeedsRepair), match=r"127\.0\.0\.1:1"):
        helm.render(Installation("web", chart, "space"))


def test_a_cluster_that_is_away(program: Path, tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(kubeconfig("http://127.0.0.1:1"), "utf-8")
    config.chmod(0o600)
    with pytest.raises(TransientError, match="connection refused"):
        Helm(config, program=program).status("web", "space")


def test_definitions_of_kinds_are_rendered_too(helm: Helm, tmp_path: Path) -> None:
    chart = write_chart(tmp_path)
    (chart / "crds").mkdir()
    text = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
    (chart / "crds" / "gadget.yaml").write_text(f"{text}metadata: {{name: gadgets.example.com}}\n")
    kinds = {each["kind"] for each in helm.render(installation(chart))}
    assert kinds == {"ConfigMap", "Secret", "CustomResourceDefinition"}
