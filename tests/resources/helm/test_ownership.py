"""Whose an object is, by what helm, others and the API server write into it."""

from typing import Any

import pytest

from resources.helm import Chart, Installation, owner
from resources.kubernetes import Object

WANTED = Installation("kserve", Chart("kserve"), "kserve")


def found(*managers: Any, **about: Any) -> Object:
    entries = [
        each if isinstance(each, dict) else {"manager": each, "time": f"2026-01-0{place + 1}"}
        for place, each in enumerate(managers)
    ]
    return {"kind": "Service", "metadata": {"name": "web", "managedFields": entries, **about}}


def notes(release: str, namespace: str = "kserve") -> dict[str, str]:
    return {
        "meta.helm.sh/release-name": release,
        "meta.helm.sh/release-namespace": namespace,
    }


def test_its_own() -> None:
    assert owner(found("helm", annotations=notes("kserve")), WANTED) is None


@pytest.mark.parametrize(("release", "namespace"), [("other", "kserve"), ("kserve", "elsewhere")])
def test_of_another_release(release: str, namespace: str) -> None:
    told = owner(found("helm", annotations=notes(release, namespace)), WANTED)
    assert told == f"the Helm release {namespace}/{release}"


def test_of_what_its_label_names() -> None:
    labels = {"app.kubernetes.io/managed-by": "argocd"}
    assert owner(found("kubectl", labels=labels), WANTED) == "`argocd`"


def test_of_a_helm_that_left_no_note() -> None:
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    assert owner(found("kubectl", labels=labels), WANTED) == "`kubectl`"


def test_of_whoever_wrote_first() -> None:
    late = {"manager": "late", "time": "2026-02-01"}
    assert owner(found(late, "kubectl"), WANTED) == "`kubectl`"


def test_what_the_cluster_itself_wrote_counts_for_nobody() -> None:
    status = {"manager": "kubelet", "subresource": "status", "time": "2025-01-01"}
    told = owner(found("kube-controller-manager", "cainjector", status), WANTED)
    assert told == "somebody who left no name"


@pytest.mark.parametrize(
    "about", [{}, {"annotations": None, "labels": None, "managedFields": None}]
)
def test_of_nobody(about: dict[str, Any]) -> None:
    assert owner({"metadata": {"name": "web", **about}}, WANTED) == "somebody who left no name"
