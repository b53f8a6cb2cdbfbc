"""One call of `helm`: values in a file of its own, its last words as an error of ours."""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resources import atomic
from resources.errors import ExternalError, NeedsRepair, PermanentError, TransientError

SYSTEM = "Helm"
VARIABLE = "AI_HOW_HELM"
#: What helm itself is given on top of `--timeout`, to roll back and to say so.
_GRACE_SECONDS = 60.0
_LONGEST = 600
_SECRET_KEY = re.compile(r"pass|secret|token|credential|private|api-?key|access-?key", re.I)
_TRANSIENT = re.compile(
    r"connection refused|connection reset|i/o timeout|TLS handshake|unexpected EOF|"
    r"timed out|context deadline exceeded|etcdserver|leader changed|too many requests|"
    r"the server is currently unable|service unavailable|another operation .* is in progress|"
    r"failed calling webhook|no such host|Bad Gateway",
    re.I,
)
_KEPT = ("HELM_CACHE_HOME", "HELM_REGISTRY_CONFIG")
_REPAIR = {
    r"kubernetes cluster unreachable": "check the kubeconfig, and that the API server runs",
    r"forbidden|unauthorized|must be logged in": "give the platform's account this right",
    r"no matches for kind|ensure CRDs are installed": "install what defines this kind first",
    r"not found in .* repository|failed to download|failed to fetch|is not a valid chart repository"
    r"|path .* not found|no such file or directory": "correct the chart's place, name and version",
    r"conflict with|cannot be imported into the current release|exists and cannot be":
        "another owner has it: remove the object, or let its owner give it up",
}  # fmt: skip


def program(given: Path | None = None) -> Path:
    """The helm to run: the given one, that of $AI_HOW_HELM, the one on PATH.

    Raises NeedsRepair where there is none.
    """
    named = str(given or os.environ.get(VARIABLE) or "helm")
    found = shutil.which(named)
    if found is None:
        hint = f"install helm 3, or let {VARIABLE} name it"
        raise NeedsRepair(SYSTEM, "start", f"there is no program {named}", hint=hint)
    return Path(found)


def run(
    executable: Path,
    words: Sequence[str],
    *,
    action: str,
    values: Mapping[str, Any] | None = None,
    timeout_seconds: float = 120.0,
) -> str:
    """The standard output.

    Values go by a file that only this user can read, and no plugin, repository or environment of
    the user's counts. Raises an error of ours with helm's last words, without what looks secret.
    """
    with _private_folder() as folder:
        command = [str(executable), *words]
        if values is not None:
            file = folder / "values.json"
            atomic.replace(file, json.dumps(values), mode=0o600)
            command += ["--values", str(file)]
        try:
            outcome = subprocess.run(
                command, env=_environment(folder), stdin=subprocess.DEVNULL, capture_output=True,
                text=True, errors="replace", timeout=timeout_seconds + _GRACE_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            reason = f"it did not end in {error.timeout:g} s"
            raise TransientError(SYSTEM, action, reason) from None
        except OSError as error:
            raise NeedsRepair(SYSTEM, action, str(error), hint="install helm anew") from error
    if outcome.returncode:
        raise failure(outcome.stderr, action, values=values or {})
    return outcome.stdout


def failure(said: str, action: str, *, values: Mapping[str, Any]) -> ExternalError:
    """The error for helm's words; what may go away by itself is transient."""
    reason = redacted(last_words(said), values) or "it failed without a word"
    if _TRANSIENT.search(reason):
        return TransientError(SYSTEM, action, reason)
    for pattern, hint in _REPAIR.items():
        if re.search(pattern, reason, re.I):
            return NeedsRepair(SYSTEM, action, reason, hint=hint)
    return PermanentError(SYSTEM, action, reason, hint="correct the chart's values")


def last_words(said: str) -> str:
    """The error of what helm said, in one line; its warnings left out."""
    lines = [" ".join(line.split()) for line in said.splitlines()]
    lines = [line for line in lines if line and not re.match(r"WARNING|W\d{4}|I\d{4}|level=", line)]
    start = next((i for i, line in enumerate(lines) if line.startswith("Error: ")), 0)
    text = " ".join(lines[start:]).removeprefix("Error: ")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def redacted(text: str, values: Mapping[str, Any]) -> str:
    """Without the values whose keys speak of secrets, as they are and in base64."""
    for each in sorted(_secrets(values), key=len, reverse=True):
        encoded = base64.b64encode(each.encode()).decode()
        text = text.replace(each, "***").replace(encoded, "***")
    return text


def _secrets(value: Any, *, named: bool = False) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _secrets(each, named=named or bool(_SECRET_KEY.search(str(key))))
    elif isinstance(value, list):
        for each in value:
            yield from _secrets(each, named=named)
    elif named and isinstance(value, str | int) and not isinstance(value, bool) and str(value):
        yield str(value)


@contextmanager
def _private_folder() -> Iterator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="ai-how-helm-")
    except OSError as error:
        raise NeedsRepair(SYSTEM, "have a folder", str(error), hint="free space there") from error
    with folder as name:
        yield Path(name)


def _environment(folder: Path) -> dict[str, str]:
    """The user's plugins and settings would come between; registry logins and the cache count."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key != "KUBECONFIG" and (not key.startswith("HELM_") or key in _KEPT)
    }
    own = ("HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_PLUGINS")
    return kept | {key: str(folder / key) for key in own}
