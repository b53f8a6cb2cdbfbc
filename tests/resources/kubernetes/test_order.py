"""What comes first in a set, and its labels."""

import pytest

from resources.errors import UsageError
from resources.kubernetes import Reference
from resources.kubernetes.order import in_order, labelled, labels


def test_what_others_need_comes_first() -> None:
    kinds = [
        "InferenceService", "ValidatingWebhookConfiguration", "Deployment", "Service", "Secret",
        "RoleBinding", "ServiceAccount", "CustomResourceDefinition", "Namespace",
    ]  # fmt: skip
    assert [each["kind"] for each in in_order({"kind": kind} for kind in kinds)] == kinds[::-1]


def test_within_a_step_the_order_given_is_kept() -> None:
    given = [{"kind": "Secret", "n": 2}, {"kind": "ConfigMap", "n": 1}, {"kind": "Secret", "n": 0}]
    assert in_order(given) == given


@pytest.mark.parametrize("value", ["", "a b", "-a", "a-", "a" * 64, "é"])
def test_a_label_that_is_none(value: str) -> None:
    with pytest.raises(UsageError, match="label"):
        labels(value)


def test_labels_are_added_to_those_that_are_there() -> None:
    manifest = {"kind": "Secret", "metadata": {"labels": {"own": "x"}}}
    assert labelled(manifest, "mlflow")["metadata"]["labels"] == {
        "own": "x",
        "app.kubernetes.io/managed-by": "ai-how",
        "app.kubernetes.io/part-of": "mlflow",
    }


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"apiVersion": "v1", "kind": "Secret"},
        {"apiVersion": "v1", "kind": "Secret", "metadata": None},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": ""}},
        {"apiVersion": 1, "kind": "Secret", "metadata": {"name": "x"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "../x"}},
    ],
)
def test_a_manifest_that_names_nothing(manifest: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Reference.of(manifest)
