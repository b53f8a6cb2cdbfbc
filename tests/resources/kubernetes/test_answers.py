"""What a refusal of the API server means, read from its `Status`."""

import json

import pytest

from resources.errors import ExternalError, NeedsRepair, PermanentError, TransientError
from resources.kubernetes import FieldConflict
from resources.kubernetes.api.failures import NotFound, answer, error


def status(message: str = "it failed", reason: str = "", **details: object) -> str:
    return json.dumps({"message": message, "reason": reason, "details": details})


@pytest.mark.parametrize("body", ["", "[]", "null", "<html>", '{"details": null}', "{}"])
def test_a_body_that_is_no_status(body: str) -> None:
    found = error(answer(502, body), "get it")
    assert isinstance(found, TransientError)
    assert str(found).startswith("Kubernetes could not get it: ")


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (400, "bad", PermanentError),
        (401, "Unauthorized", NeedsRepair),
        (403, "forbidden: User cannot", NeedsRepair),
        (403, "forbidden: exceeded quota: gpus", NeedsRepair),
        (404, "not found", NotFound),
        (409, "the object has been modified", TransientError),
        (422, "Invalid value", PermanentError),
        (429, "too many requests", TransientError),
        (500, "etcdserver: leader changed", TransientError),
        (500, "failed calling webhook: connection refused", TransientError),
        (500, "failed to create typed patch object: .x: field not declared", PermanentError),
        (500, "failed to convert new object: illegal base64 data", PermanentError),
        (503, "unavailable", TransientError),
        (504, "timeout", TransientError),
    ],
)
def test_codes_and_words(code: int, message: str, kind: type[ExternalError]) -> None:
    found = error(answer(code, status(message)), "apply it")
    assert type(found) is kind or (kind is NeedsRepair and isinstance(found, kind))
    assert message in found.reason


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        (401, "Unauthorized", "credentials"),
        (403, "User cannot", "Role"),
        (403, "exceeded quota", "ResourceQuota"),
        (404, 'namespaces "x" not found', "create the namespace x"),
        (404, "the server could not find the requested resource", "install what defines"),
        (422, 'admission webhook "y" denied the request: no', "webhook"),
        (422, "Invalid value", "correct the manifest"),
    ],
)
def test_hints_say_the_fix(code: int, message: str, hint: str) -> None:
    assert hint in str(error(answer(code, status(message)), "apply it").hint)


def test_a_namespace_that_is_ending_can_be_tried_again() -> None:
    body = status("forbidden: it is being terminated", causes=[{"reason": "NamespaceTerminating"}])
    assert isinstance(error(answer(403, body), "apply it"), TransientError)


def test_owners_are_named_with_their_fields() -> None:
    causes = [
        {"reason": "FieldManagerConflict", "field": field, "message": f'conflict with "{name}"'}
        for name, field in (("hpa", ".spec.replicas"), ("kubectl", ".a"), ("kubectl", ".b"))
    ]
    found = error(answer(409, status(causes=causes)), "apply it")
    assert isinstance(found, FieldConflict)
    assert found.reason == "`hpa` owns .spec.replicas; `kubectl` owns .a, .b"


@pytest.mark.parametrize(
    ("headers", "details", "seconds"),
    [
        ({"Retry-After": "7"}, {}, 7.0),
        ({"retry-after": "x"}, {"retryAfterSeconds": 3}, 3.0),
        ({}, {}, None),
    ],
)
def test_the_pause_that_is_asked_for(
    headers: dict[str, str], details: dict[str, object], seconds: float | None
) -> None:
    assert answer(429, status("busy", "", **details), headers).retry_after == seconds


@pytest.mark.parametrize("code", [400, 409, 422, 500])
def test_words_about_a_secret_are_withheld(code: int) -> None:
    causes = [{"field": "data[password]", "message": 'Invalid value: "hunter2"'}]
    found = error(answer(code, status("hunter2", "Invalid", causes=causes)), "apply", secret=True)
    assert "hunter2" not in str(found)
    assert "data[password]" in str(found)


def test_that_a_secret_may_not_be_read_is_told() -> None:
    found = error(answer(403, status("secrets is forbidden")), "get it", secret=True)
    assert "forbidden" in found.reason
