"""What applying and pruning whole sets must do on every API server, as a class to inherit."""

import pytest

from resources.errors import UsageError
from resources.kubernetes import Kubernetes, Object, Prune, Reference, apply_all, members
from tests.resources.kubernetes.cluster_contract import config_map

CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "none-such",
        "resources": {"requests": {"storage": "1Mi"}},
    },
}


def definition(group: str) -> Object:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gadgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Gadget", "plural": "gadgets", "singular": "gadget"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def gadget(group: str, namespace: str) -> Object:
    return {**config_map(namespace, "gadget"), "apiVersion": f"{group}/v1", "kind": "Gadget"}


def names(found: list[Object]) -> list[str]:
    return sorted(each["metadata"]["name"] for each in found)


class SetsContract:
    """Each test's set is named after its namespace."""

    def test_a_set_with_one_object_twice_is_refused(
        self, client: Kubernetes, namespace: str
    ) -> None:
        with pytest.raises(UsageError, match=f"twice: ConfigMap {namespace}/plain"):
            apply_all(client, [config_map(namespace)] * 2, part_of=namespace)

    def test_a_label_that_is_none_is_refused(self, client: Kubernetes, namespace: str) -> None:
        with pytest.raises(UsageError, match="label"):
            apply_all(client, [config_map(namespace)], part_of="not a label")

    def test_a_set_is_applied_once_and_labelled(self, client: Kubernetes, namespace: str) -> None:
        manifests = [config_map(namespace, "one"), config_map(namespace, "two")]
        outcomes = [
            [each.outcome for each in apply_all(client, manifests, part_of=namespace)]
            for _ in range(2)
        ]
        assert outcomes == [["created"] * 2, ["unchanged"] * 2]
        found = client.get(Reference("v1", "ConfigMap", "one", namespace))
        assert found is not None
        assert found["metadata"]["labels"] == {
            "app.kubernetes.io/managed-by": "ai-how",
            "app.kubernetes.io/part-of": namespace,
        }

    def test_a_kind_and_its_objects_come_in_one_set(
        self, client: Kubernetes, namespace: str
    ) -> None:
        group = f"{namespace}.example.com"
        manifests = [gadget(group, namespace), definition(group)]
        dry = apply_all(client, manifests, part_of=namespace, dry_run=True)
        made = apply_all(client, manifests, part_of=namespace)
        client.delete(Reference.of(definition(group)), wait_seconds=60)
        assert [each.outcome for each in made] == ["created", "created"]
        assert dry == made

    def test_a_dry_run_counts_with_a_namespace_of_the_set(
        self, client: Kubernetes, namespace: str
    ) -> None:
        other = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{namespace}-b"}}
        manifests = [config_map(f"{namespace}-b"), other]
        found = apply_all(client, manifests, part_of=namespace, dry_run=True)
        assert [str(each) for each in found] == [
            f"Namespace {namespace}-b created",
            f"ConfigMap {namespace}-b/plain created",
        ]

    def test_what_left_the_set_is_pruned(self, client: Kubernetes, namespace: str) -> None:
        first = [config_map(namespace, "stays"), config_map(namespace, "goes")]
        apply_all(client, first, part_of=namespace)
        kept = apply_all(client, first[:1], part_of=namespace)
        assert names(members(client, namespace)) == ["goes", "stays"]
        changes = apply_all(client, first[:1], part_of=namespace, prune=Prune.SAFE)
        assert [str(each) for each in changes[len(kept) :]] == [
            f"ConfigMap {namespace}/goes deleted"
        ]
        assert names(members(client, namespace)) == ["stays"]

    def test_a_dry_run_prunes_nothing(self, client: Kubernetes, namespace: str) -> None:
        apply_all(client, [config_map(namespace)], part_of=namespace)
        told = apply_all(client, [], part_of=namespace, prune=Prune.SAFE, dry_run=True)
        assert [each.outcome for each in told] == ["deleted"]
        assert names(members(client, namespace)) == ["plain"]

    def test_claims_are_kept_unless_all_is_to_go(self, client: Kubernetes, namespace: str) -> None:
        claim = {**CLAIM, "metadata": {"name": "claim", "namespace": namespace}}
        apply_all(client, [claim], part_of=namespace)
        assert apply_all(client, [], part_of=namespace, prune=Prune.SAFE) == []
        told = apply_all(client, [], part_of=namespace, prune=Prune.ALL)
        assert [str(each) for each in told] == [f"PersistentVolumeClaim {namespace}/claim deleted"]

    def test_what_others_labelled_alike_is_not_pruned(
        self, client: Kubernetes, namespace: str
    ) -> None:
        apply_all(client, [config_map(namespace, "ours")], part_of=namespace)
        found = client.get(Reference("v1", "ConfigMap", "ours", namespace))
        assert found is not None
        theirs = config_map(namespace, "theirs")
        theirs["metadata"]["labels"] = found["metadata"]["labels"]
        resource = client.connection.resource(Reference.of(theirs).of_kind, "test")
        client.connection.send(
            "PATCH", resource.path(name="theirs", namespace=namespace), action="test", body=theirs,
            field_manager="somebody", content_type="application/apply-patch+yaml",
        )  # fmt: skip
        told = apply_all(client, [], part_of=namespace, prune=Prune.ALL)
        assert [str(each) for each in told] == [f"ConfigMap {namespace}/ours deleted"]
