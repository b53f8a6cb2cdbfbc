"""What an answer of the API server means: trying again, or who has to act and how. Pure.

Nothing of a Secret is ever repeated: the server's words about one may quote it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resources.errors import ExternalError, NeedsRepair, PermanentError, TransientError

SYSTEM = "Kubernetes"
_LONGEST = 1000
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
#: The server wraps these faults of a manifest in a 500.
_UNFIT = re.compile(r"failed to create typed patch object|failed to convert new object")
_OWNER = re.compile(r'conflict with "([^"]+)"')
_TAKE_OVER = (
    "take these fields out of what we apply, or take them over with `force`; "
    "`kubectl get --show-managed-fields -o yaml` shows who owns what"
)
_DENIED = "admission webhook"
_QUOTA = "raise the ResourceQuota of the namespace, or ask for less"
_RIGHTS = "give the platform's account this right (a Role and its binding)"
_LOGIN = "log in anew, or renew the credentials in the kubeconfig"
_KIND = "install what defines this kind, or use a version of it that the cluster serves"
_WEBHOOK = "correct the manifest as the admission webhook says"
_INVALID = "correct the manifest"


class FieldConflict(PermanentError):
    """Other field managers own what was applied; `owners` has the fields of each."""

    def __init__(self, action: str, owners: Mapping[str, Sequence[str]]) -> None:
        told = "; ".join(f"`{name}` owns {', '.join(each)}" for name, each in owners.items())
        super().__init__(SYSTEM, action, told, hint=_TAKE_OVER)
        self.owners = {name: tuple(each) for name, each in owners.items()}


class NotFound(NeedsRepair):
    """There is no such object, namespace or kind."""


class AlreadyThere(PermanentError):
    """An object of that name exists, and one was to be made."""


class Forbidden(NeedsRepair):
    """The platform's account has no right to do that, or no quota left."""


class Expired(TransientError):
    """A version or a page that the server no longer has; what was asked for begins anew."""


@dataclass(frozen=True)
class Answer:
    """A refusal as the server put it; `retry_after` in seconds, None where it asks for none."""

    status: int
    reason: str
    message: str
    causes: tuple[Mapping[str, str], ...] = ()
    retry_after: float | None = None

    @property
    def is_transient(self) -> bool:
        if self.status == 409:
            return not self.owners() and self.reason != "AlreadyExists"
        return self.status in _TRANSIENT and not _UNFIT.search(self.message)

    def owners(self) -> dict[str, list[str]]:
        """The fields of each manager that stand against an apply."""
        found: dict[str, list[str]] = {}
        for cause in self.causes:
            owner = _OWNER.search(cause.get("message", ""))
            if owner and cause.get("reason") == "FieldManagerConflict":
                found.setdefault(owner[1], []).append(cause.get("field", "a field"))
        return found


def answer(status: int, body: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Read a refusal; where it is no `Status` document, its text counts."""
    given = {key.lower(): value for key, value in (headers or {}).items()}
    wait = given.get("retry-after", "")
    try:
        found: Any = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        found = {"message": body.strip() or f"it answers {status}"}
    details = found.get("details") or {}
    seconds = float(wait) if wait.isdigit() else details.get("retryAfterSeconds")
    return Answer(
        status=status,
        reason=str(found.get("reason") or ""),
        message=str(found.get("message") or f"it answers {status}"),
        causes=tuple(details.get("causes") or ()),
        retry_after=float(seconds) if seconds is not None else None,
    )


def error(given: Answer, action: str, *, secret: bool = False) -> ExternalError:
    """The error of ours for an answer; `secret` where what was sent or asked for is one."""
    owners = given.owners()
    if given.status == 409 and owners:
        return FieldConflict(action, owners)
    quotes = secret and (given.status not in (401, 403, 404) or "webhook" in given.message)
    said = _withheld(given) if quotes else _shortened(given.message)
    if given.status == 409 and given.reason == "AlreadyExists":
        return AlreadyThere(SYSTEM, action, said)
    if given.status == 410:
        return Expired(SYSTEM, action, said)
    if given.is_transient:
        return TransientError(SYSTEM, action, said)
    if _is_terminating(given):
        hint = "it can be tried again once the namespace is gone"
        return TransientError(SYSTEM, action, said, hint=hint)
    kind, fix = _meaning(given)
    return kind(SYSTEM, action, said, hint=fix)


def _meaning(given: Answer) -> tuple[type[PermanentError], str | None]:
    if _DENIED in given.message or "ValidatingAdmissionPolicy" in given.message:
        return PermanentError, _WEBHOOK
    if given.status == 401:
        return NeedsRepair, _LOGIN
    if given.status == 403:
        return Forbidden, _QUOTA if "exceeded quota" in given.message else _RIGHTS
    if given.status == 404:
        return NotFound, _namespace_hint(given.message)
    return PermanentError, _INVALID if given.status in (400, 413, 415, 422, 500) else None


def _namespace_hint(message: str) -> str:
    missing = re.match(r'namespaces "([^"]+)" not found', message)
    return f"create the namespace {missing[1]} first" if missing else _KIND


def _is_terminating(given: Answer) -> bool:
    return any(cause.get("reason") == "NamespaceTerminating" for cause in given.causes)


def _withheld(given: Answer) -> str:
    """Which fields are wrong and why in the server's terms, without its sentences."""
    if _DENIED in given.message:
        return (
            "an admission webhook denied it; its words are withheld, as they may quote the secret"
        )
    fields = sorted({cause["field"] for cause in given.causes if cause.get("field")})
    about = f" ({', '.join(fields)})" if fields else ""
    return f"it answers {given.status} {given.reason}{about}; its words may quote the secret"


def _shortened(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} …"
