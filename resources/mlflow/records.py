"""Runs and versions over MLflow's REST interface, without its client's seconds of import.

For trying a server out; what the platform keeps in a registry goes through `registry`.
"""

import time
from dataclasses import dataclass
from typing import Any

import httpx

from resources.errors import PermanentError, TransientError

_SECONDS = 30.0
_PRESENT = "RESOURCE_ALREADY_EXISTS"
_ABSENT = "RESOURCE_DOES_NOT_EXIST"
_PERMANENT = frozenset({_PRESENT, _ABSENT, "INVALID_PARAMETER_VALUE", "PERMISSION_DENIED"})


@dataclass(frozen=True)
class Run:
    """A run and where its artifacts go."""

    run_id: str
    artifact_uri: str


class Records:
    """A server at `url`. Raises TransientError where it is away or out of order."""

    def __init__(self, url: str) -> None:
        self._url = url

    def start(self, experiment: str) -> Run:
        """A new run of the experiment, which is made where there is none."""
        found = self._call("GET", "experiments/get-by-name", {"experiment_name": experiment})
        if found is None:
            self._call("POST", "experiments/create", {"name": experiment})
            found = self._call("GET", "experiments/get-by-name", {"experiment_name": experiment})
        about = (found or {})["experiment"]
        wanted = {"experiment_id": about["experiment_id"], "start_time": int(time.time() * 1000)}
        info = self._answer("POST", "runs/create", wanted)["run"]["info"]
        return Run(info["run_id"], info["artifact_uri"])

    def artifacts(self, run_id: str) -> frozenset[str]:
        """The paths of a run's artifacts, as the server sees them."""
        listed = self._answer("GET", "artifacts/list", {"run_id": run_id})
        return frozenset(each["path"] for each in listed.get("files") or ())

    def register(self, model: str, run: Run) -> int:
        """A new version of the model, of the run's artifacts; its number."""
        self._call("POST", "registered-models/create", {"name": model})
        wanted = {"name": model, "source": run.artifact_uri, "run_id": run.run_id}
        made = self._answer("POST", "model-versions/create", wanted)
        return int(made["model_version"]["version"])

    def remove(self, model: str, number: int | None, run: Run) -> None:
        """The version, if any, and the run; what is gone already is gone."""
        if number is not None:
            self._call("DELETE", "model-versions/delete", {"name": model, "version": str(number)})
        self._call("POST", "runs/delete", {"run_id": run.run_id})

    def _answer(self, method: str, path: str, content: dict[str, Any]) -> dict[str, Any]:
        found = self._call(method, path, content)
        if found is None:
            raise PermanentError("MLflow", f"ask for {path}", "what was just made is not there")
        return found

    def _call(self, method: str, path: str, content: dict[str, Any]) -> dict[str, Any] | None:
        """The answer; None where the thing is not there, or there already."""
        action = f"ask for {path}"
        sent: dict[str, Any] = {"params": content} if method == "GET" else {"json": content}
        try:
            response = httpx.request(
                method, f"{self._url}/api/2.0/mlflow/{path}", timeout=_SECONDS, **sent
            )
            found = response.json()
        except (httpx.HTTPError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise TransientError("MLflow", action, reason) from error
        if response.is_success and isinstance(found, dict):
            return found
        code = found.get("error_code") if isinstance(found, dict) else None
        if code in (_PRESENT, _ABSENT):
            return None
        said = str(found.get("message") if isinstance(found, dict) else found)[:300]
        kind = PermanentError if code in _PERMANENT else TransientError
        raise kind("MLflow", action, said)
