"""One question to MLflow without its four seconds of import: which checkpoint an alias names."""

import httpx

from resources.errors import TransientError

KEY_TAG = "ai-how.key"


def alias_key(url: str, model: str, alias: str) -> str | None:
    """The checkpoint key behind `model@alias`, None when there is none."""
    try:
        response = httpx.get(
            f"{url}/api/2.0/mlflow/registered-models/alias",
            params={"name": model, "alias": alias},
            timeout=10,
        )
        found = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise TransientError(
            "MLflow", f"look up `{model}@{alias}`", str(error), hint="`ai-how up` starts it"
        ) from error
    tags = found.get("model_version", {}).get("tags", [])
    return next((str(tag["value"]) for tag in tags if tag["key"] == KEY_TAG), None)
