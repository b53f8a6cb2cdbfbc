"""What every API server must do for our client, as classes of tests to inherit.

A subclass gives `client`; a server may be shared, so each test has a `namespace` of its own.
"""

import base64
import copy
import threading
import traceback
from typing import Any

import pytest

from resources.errors import NeedsRepair, PermanentError, TransientError
from resources.kubernetes import (
    FieldConflict,
    Kind,
    Kubernetes,
    Object,
    Reference,
    condition,
    deleted,
    exists,
)

CONFIG_MAP = Kind("v1", "ConfigMap")


def config_map(namespace: str, name: str = "plain", **values: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": values,
    }


def secret(namespace: str, **values: str) -> Object:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {**config_map(namespace), "kind": "Secret", "data": encoded}


def write_as(client: Kubernetes, manager: str, manifest: Object) -> None:
    """As somebody else's server-side apply."""
    reference = Reference.of(manifest)
    resource = client.connection.resource(reference.of_kind, "test")
    path = resource.path(name=reference.name, namespace=reference.namespace)
    client.connection.send(
        "PATCH", path, action="test", body=manifest, field_manager=manager,
        content_type="application/apply-patch+yaml", force_conflicts=True,
    )  # fmt: skip


def later(seconds: float, act: Any, *arguments: Any) -> threading.Timer:
    timer = threading.Timer(seconds, act, arguments)
    timer.start()
    return timer


class ApplyContract:
    """Apply, and what it refuses."""

    def test_a_kind_that_the_server_lacks(self, client: Kubernetes, namespace: str) -> None:
        manifest = {**config_map(namespace), "apiVersion": "no.such.group/v1", "kind": "Thing"}
        with pytest.raises(NeedsRepair, match=r"no kind Thing in no\.such\.group/v1"):
            client.apply(manifest)

    def test_a_namespace_that_is_not_there(self, client: Kubernetes) -> None:
        with pytest.raises(NeedsRepair, match="not-there") as caught:
            client.apply(config_map("not-there"))
        assert caught.value.hint == "create the namespace not-there first"

    def test_a_name_that_is_none(self, client: Kubernetes, namespace: str) -> None:
        with pytest.raises(PermanentError, match="Invalid value") as caught:
            client.apply(config_map(namespace, "Not-Lower-Case"))
        assert caught.value.hint == "correct the manifest"

    def test_a_field_that_is_none(self, client: Kubernetes, namespace: str) -> None:
        with pytest.raises(PermanentError, match=r"\.dat"):
            client.apply({**config_map(namespace), "dat": {}})

    def test_a_secret_is_in_no_error(self, client: Kubernetes, namespace: str) -> None:
        manifest = {**config_map(namespace), "kind": "Secret", "data": {"password": "!hunter2!"}}
        with pytest.raises(PermanentError) as caught:
            client.apply(manifest)
        told = "".join(traceback.format_exception(caught.value))
        assert "hunter2" not in told

    def test_an_object_is_created_once(self, client: Kubernetes, namespace: str) -> None:
        manifest = config_map(namespace, answer="42")
        outcomes = [client.apply(manifest).outcome for _ in range(2)]
        assert outcomes == ["created", "unchanged"]

    def test_a_change_names_its_paths(self, client: Kubernetes, namespace: str) -> None:
        client.apply(config_map(namespace, answer="42", rest="same"))
        change = client.apply(config_map(namespace, answer="43", rest="same"))
        assert (change.outcome, change.paths) == ("changed", (".data.answer",))

    def test_of_a_secret_only_the_path_is_told(self, client: Kubernetes, namespace: str) -> None:
        client.apply(secret(namespace, password="old"))
        change = client.apply(secret(namespace, password="new"))
        assert str(change) == f"Secret {namespace}/plain changed: .data.password"

    def test_a_field_that_left_the_manifest_goes(self, client: Kubernetes, namespace: str) -> None:
        client.apply(config_map(namespace, one="1", two="2"))
        change = client.apply(config_map(namespace, one="1"))
        found = client.get(change.reference)
        assert (change.paths, found and found["data"]) == ((".data.two",), {"one": "1"})

    def test_what_others_added_stays(self, client: Kubernetes, namespace: str) -> None:
        client.apply(config_map(namespace, ours="1"))
        write_as(client, "somebody", config_map(namespace, theirs="2"))
        change = client.apply(config_map(namespace, ours="1"))
        found = client.get(change.reference)
        assert change.outcome == "unchanged"
        assert found is not None
        assert found["data"] == {"ours": "1", "theirs": "2"}

    def test_a_conflict_names_manager_and_fields(self, client: Kubernetes, namespace: str) -> None:
        write_as(client, "somebody", config_map(namespace, answer="theirs"))
        with pytest.raises(FieldConflict, match=r"`somebody` owns \.data\.answer") as caught:
            client.apply(config_map(namespace, answer="ours"))
        assert caught.value.owners == {"somebody": (".data.answer",)}
        assert "force" in str(caught.value.hint)

    def test_force_takes_a_field_over(self, client: Kubernetes, namespace: str) -> None:
        write_as(client, "somebody", config_map(namespace, answer="theirs"))
        change = client.apply(config_map(namespace, answer="ours"), force=True)
        assert change.paths == (".data.answer",)
        assert client.apply(config_map(namespace, answer="ours")).outcome == "unchanged"

    def test_our_own_patch_is_no_conflict(self, client: Kubernetes, namespace: str) -> None:
        made = client.apply(config_map(namespace, answer="1"))
        client.patch(made.reference, {"data": {"answer": "2"}})
        assert client.apply(config_map(namespace, answer="3")).paths == (".data.answer",)

    def test_a_dry_run_answers_alike_and_changes_nothing(
        self, client: Kubernetes, namespace: str
    ) -> None:
        manifest = config_map(namespace, answer="42")
        dry = client.apply(manifest, dry_run=True)
        assert client.get(dry.reference) is None
        assert client.apply(manifest) == dry
        other = config_map(namespace, answer="43")
        assert client.apply(other, dry_run=True) == client.apply(other)

    def test_what_is_made_once_is_never_overwritten(
        self, client: Kubernetes, namespace: str
    ) -> None:
        made = [client.create(config_map(namespace, answer=each)) for each in ("42", "43")]
        found = client.get(Reference("v1", "ConfigMap", "plain", namespace))
        assert (made, found and found["data"]) == ([True, False], {"answer": "42"})

    def test_a_dry_run_makes_nothing(self, client: Kubernetes, namespace: str) -> None:
        assert client.create(config_map(namespace), dry_run=True)
        assert client.get(Reference("v1", "ConfigMap", "plain", namespace)) is None

    def test_nothing_is_made_in_a_namespace_that_is_not_there(self, client: Kubernetes) -> None:
        with pytest.raises(NeedsRepair, match="not-there"):
            client.create(config_map("not-there"))

    def test_the_manifest_is_left_as_it_was(self, client: Kubernetes, namespace: str) -> None:
        manifest = config_map(namespace, answer="42")
        before = copy.deepcopy(manifest)
        client.apply(manifest)
        assert manifest == before


class ObjectContract:
    """Get, list, patch, delete, events, wait."""

    def test_what_is_not_there_is_none(self, client: Kubernetes, namespace: str) -> None:
        for each in (namespace, "not-there"):
            for kind in ("ConfigMap", "Secret"):
                assert client.get(Reference("v1", kind, "nothing", each)) is None

    def test_objects_are_listed_by_labels(self, client: Kubernetes, namespace: str) -> None:
        for name, colour in (("one", "red"), ("two", "blue")):
            manifest = config_map(namespace, name)
            manifest["metadata"]["labels"] = {"colour": colour}
            client.apply(manifest)
        found = client.listed(CONFIG_MAP, namespace=namespace, labels={"colour": "red"})
        assert [(each["kind"], each["metadata"]["name"]) for each in found] == [
            ("ConfigMap", "one")
        ]

    def test_a_patch_merges(self, client: Kubernetes, namespace: str) -> None:
        made = client.apply(config_map(namespace, one="1", two="2"))
        change = client.patch(made.reference, {"data": {"two": None, "three": "3"}})
        assert change.paths == (".data.three", ".data.two")

    def test_a_patch_needs_an_object(self, client: Kubernetes, namespace: str) -> None:
        with pytest.raises(NeedsRepair, match="not found"):
            client.patch(Reference("v1", "ConfigMap", "nothing", namespace), {"data": {}})

    def test_deleting_again_does_nothing(self, client: Kubernetes, namespace: str) -> None:
        reference = client.apply(config_map(namespace)).reference
        outcomes = [client.delete(reference, wait_seconds=30) for _ in range(2)]
        assert outcomes == [True, False]

    def test_what_holds_a_deletion_is_named(self, client: Kubernetes, namespace: str) -> None:
        manifest = config_map(namespace)
        manifest["metadata"]["finalizers"] = ["example.com/hold"]
        reference = client.apply(manifest).reference
        with pytest.raises(TransientError, match=r"held by .*example\.com/hold"):
            client.delete(reference, wait_seconds=0.5)
        client.patch(reference, {"metadata": {"finalizers": None}})
        client.wait(reference, deleted(), timeout_seconds=30)

    def test_what_holds_already_is_not_waited_for(self, client: Kubernetes, namespace: str) -> None:
        reference = client.apply(config_map(namespace, answer="42")).reference
        found = client.wait(reference, exists(), timeout_seconds=0)
        assert found is not None
        assert found["data"] == {"answer": "42"}

    def test_what_comes_later_is_seen(self, client: Kubernetes, namespace: str) -> None:
        reference = Reference("v1", "ConfigMap", "plain", namespace)
        timer = later(0.3, client.apply, config_map(namespace, answer="42"))
        found = client.wait(reference, exists(), timeout_seconds=30)
        timer.join()
        assert found is not None
        assert found["data"] == {"answer": "42"}

    def test_what_goes_later_is_seen(self, client: Kubernetes, namespace: str) -> None:
        reference = client.apply(config_map(namespace)).reference
        timer = later(0.3, client.delete, reference)
        assert client.wait(reference, deleted(), timeout_seconds=30) is None
        timer.join()

    def test_a_wait_for_nothing_says_that_nothing_is_there(
        self, client: Kubernetes, namespace: str
    ) -> None:
        reference = Reference("v1", "ConfigMap", "nothing", namespace)
        with pytest.raises(TransientError, match="there is no such object"):
            client.wait(reference, exists(), timeout_seconds=0.3)

    def test_a_wait_says_why_by_the_events(self, client: Kubernetes, namespace: str) -> None:
        reference = client.apply(config_map(namespace)).reference
        found = client.get(reference)
        assert found is not None
        client.apply(_event(found, "the disk is full"))
        with pytest.raises(TransientError, match="ConfigMap plain: Failed: the disk is full"):
            client.wait(reference, condition("Ready"), timeout_seconds=0.3)
        assert [each["message"] for each in client.events(reference)] == ["the disk is full"]

    def test_events_of_a_predecessor_do_not_count(self, client: Kubernetes, namespace: str) -> None:
        reference = client.apply(config_map(namespace)).reference
        found = client.get(reference)
        assert found is not None
        client.apply(_event(found, "the disk is full"))
        client.delete(reference, wait_seconds=30)
        client.apply(config_map(namespace))
        assert client.events(reference) == []


def _event(regards: Object, message: str) -> Object:
    about = regards["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "event", "namespace": about["namespace"]},
        "type": "Warning",
        "reason": "Failed",
        "message": message,
        "involvedObject": {
            "apiVersion": regards["apiVersion"],
            "kind": regards["kind"],
            "name": about["name"],
            "namespace": about["namespace"],
            "uid": about["uid"],
        },
    }
