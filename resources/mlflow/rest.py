"""One question to MLflow without its four seconds of import: which checkpoint an alias names."""

import httpx

from resources.errors import TransientError

KEY_TAG = "ai-how.key"
#: An unknown model, and a known one without the alias.
NO_SUCH_ALIAS = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})


def alias_target(url: str, model: str, alias: str) -> tuple[str, int] | None:
    """The checkpoint key and the version number behind `model@alias`, None when there is none.

    Raises TransientError when MLflow does not answer, or answers anything else.
    """
    question = f"look up `{model}@{alias}`"
    try:
        response = httpx.get(
            f"{url}/api/2.0/mlflow/registered-models/alias",
            params={"name": model, "alias": alias},
            timeout=10,
        )
        found = response.json()
    except (httpx.HTTPError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise TransientError("MLflow", question, reason, hint="`ai-how up` starts it") from error
    if not isinstance(found, dict):
        raise TransientError("MLflow", question, f"what answers at {url} is not MLflow")
    if not response.is_success and found.get("error_code") not in NO_SUCH_ALIAS:
        reason = str(found.get("message") or f"it answers {response.status_code}")
        raise TransientError("MLflow", question, reason[:300])
    version = found.get("model_version", {})
    keys = [str(tag["value"]) for tag in version.get("tags", []) if tag["key"] == KEY_TAG]
    return (keys[0], int(version["version"])) if keys else None
