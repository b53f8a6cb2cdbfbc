"""Which paths differ, and that values never show."""

from typing import Any

import pytest

from resources.kubernetes import Object
from resources.kubernetes.changes import change, differences


def found(**parts: Any) -> Object:
    about = {"name": "web", "namespace": "default", **parts.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": about, **parts}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"status": {"ready": False}}, {"status": {"ready": True}}),
        ({"metadata": {"resourceVersion": "1"}}, {"metadata": {"resourceVersion": "2"}}),
        ({"metadata": {"generation": 1}}, {"metadata": {"generation": 2, "managedFields": []}}),
    ],
)
def test_what_the_server_counts_is_no_change(before: Object, after: Object) -> None:
    assert differences(found(**before), found(**after)) == ()


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        ({}, {"data": {"a": "x"}}, (".data",)),
        ({"data": {"a": "x"}}, {"data": {"a": "y", "b": "z"}}, (".data.a", ".data.b")),
        ({"data": {"tls.crt": "x"}}, {"data": {}}, (".data[tls.crt]",)),
        ({"spec": {"a": [1]}}, {"spec": {"a": [2]}}, (".spec.a",)),
        ({"spec": {"a": []}}, {"spec": {"a": [{"name": "x"}]}}, (".spec.a",)),
        (
            {"spec": {"c": [{"name": "x", "image": "1"}, {"name": "y"}]}},
            {"spec": {"c": [{"name": "x", "image": "2"}, {"name": "y"}]}},
            (".spec.c[x].image",),
        ),
        (
            {"spec": {"c": [{"name": "x"}]}},
            {"spec": {"c": [{"name": "x"}, {"name": "y"}]}},
            (".spec.c[y]",),
        ),
        (
            {"spec": {"c": [{"name": "x"}, {"name": "y"}]}},
            {"spec": {"c": [{"name": "y"}, {"name": "x"}]}},
            (".spec.c",),
        ),
        ({"spec": {"n": 1}}, {"spec": {"n": None}}, (".spec.n",)),
    ],
)
def test_paths_that_differ(before: Object, after: Object, paths: tuple[str, ...]) -> None:
    assert differences(found(**before), found(**after)) == paths


def test_a_value_is_never_told() -> None:
    told = change(found(data={"password": "hunter2"}), found(data={"password": "hunter3"}))
    assert str(told) == "Secret default/web changed: .data.password"
