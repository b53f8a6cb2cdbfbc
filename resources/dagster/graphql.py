"""Dagster from outside: asks its webserver by GraphQL what ran, and to run something.

For programs that must not wait a second for `import dagster`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from resources.dagster import run_log
from resources.dagster.run_log import Failed, Page
from resources.errors import PermanentError, TransientError

LOCATION = "ai-how"
REPOSITORY = "__repository__"
_FINISHED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})

_LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on InvalidSubsetError { message }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on UnauthorizedError { message }
    ... on PipelineNotFoundError { message }
  }
}
"""

_RUNS = """
query ($filter: RunsFilter!, $limit: Int!) {
  runsOrError(filter: $filter, limit: $limit) {
    __typename
    ... on PythonError { message }
    ... on Runs {
      results {
        runId status jobName creationTime startTime endTime
        tags { key value }
        assetSelection { path }
        stepStats { stepKey status startTime endTime }
      }
    }
  }
}
"""

_EVENTS = f"""
query ($key: AssetKeyInput!, $partitions: [String!], $limit: Int!) {{
  assetOrError(assetKey: $key) {{
    __typename
    ... on Asset {{
      assetMaterializations(partitions: $partitions, limit: $limit) {{
        timestamp runId partition
        {run_log.METADATA}
      }}
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Step:
    """One step of a run; times in seconds since 1970, None while it has not come to that."""

    name: str
    status: str
    started: float | None
    ended: float | None


@dataclass(frozen=True)
class Run:
    """A run as Dagster has it; times in seconds since 1970. `whole`: it is to do all of its job."""

    run_id: str
    status: str
    job: str
    created: float
    started: float | None
    ended: float | None
    tags: Mapping[str, str]
    steps: tuple[Step, ...]
    whole: bool = True

    @property
    def finished(self) -> bool:
        return self.status in _FINISHED


@dataclass(frozen=True)
class Event:
    """A materialization: its partition, time in seconds since 1970, and metadata by label."""

    run_id: str
    partition: str
    timestamp: float
    metadata: Mapping[str, Any] = field(default_factory=dict)


class DagsterGraphQL:
    """The webserver at `url`. Raises TransientError when it does not answer."""

    def __init__(self, url: str, *, timeout_seconds: float = 20) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=timeout_seconds)

    def close(self) -> None:
        self._client.close()

    def submit(
        self,
        job: str,
        *,
        assets: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Queue a run of `job`, or of a part of it; returns its id."""
        selector: dict[str, Any] = {
            "repositoryLocationName": LOCATION,
            "repositoryName": REPOSITORY,
            "jobName": job,
        }
        if assets:
            selector["assetSelection"] = [{"path": [name]} for name in assets]
        metadata = {"tags": [{"key": k, "value": v} for k, v in (tags or {}).items()]}
        parameters = {
            "selector": selector,
            "runConfigData": dict(config or {}),
            "executionMetadata": metadata,
        }
        answer = self._ask(_LAUNCH, {"params": parameters})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            is_old = answer["__typename"] in ("PipelineNotFoundError", "InvalidSubsetError")
            hint = "it has the file as it was: `ai-how down`, then `ai-how up`" if is_old else None
            raise PermanentError("Dagster", f"launch {job}", _complaint(answer), hint=hint)
        return str(answer["run"]["runId"])

    def run(self, run_id: str) -> Run | None:
        return next(iter(self._runs({"runIds": [run_id]}, 1)), None)

    def runs(self, *, tags: Mapping[str, str] | None = None, limit: int = 100) -> tuple[Run, ...]:
        """The newest runs first."""
        wanted = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        return self._runs({"tags": wanted}, limit)

    def events(
        self, asset: str, *, partitions: Sequence[str] | None = None, limit: int = 1000
    ) -> tuple[Event, ...]:
        """Materializations of an asset, the newest first; none where the asset has none."""
        answer = self._ask(
            _EVENTS, {"key": {"path": [asset]}, "partitions": partitions, "limit": limit}
        )["assetOrError"]
        return tuple(_event(found) for found in answer.get("assetMaterializations", ()))

    def failure(self, run_id: str) -> str:
        """Why a run failed, in one line: the failed check, or the innermost cause of the error."""
        return self.failed(run_id).reason

    def failed(self, run_id: str) -> Failed:
        """The same with what would mend it."""
        return run_log.failed(self._ask(run_log.FAILURE, {"run": run_id})["logsForRun"])

    def log(self, run_id: str, after: str | None = None) -> Page:
        """What the run has said since `after`, the cursor of the page before."""
        answer = self._ask(run_log.LOG, {"run": run_id, "after": after})
        return run_log.page(answer["logsForRun"], after)

    def _runs(self, condition: Mapping[str, Any], limit: int) -> tuple[Run, ...]:
        answer = self._ask(_RUNS, {"filter": condition, "limit": limit})["runsOrError"]
        if "results" not in answer:
            raise TransientError("Dagster", "list the runs", _complaint(answer))
        return tuple(_run(found) for found in answer["results"])

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        try:
            response = self._client.post(
                "/graphql", json={"query": query, "variables": dict(variables)}
            )
            document = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise self._unanswered(str(error) or type(error).__name__) from error
        if isinstance(document, dict) and document.get("errors"):
            raise PermanentError("Dagster", "answer", str(document["errors"][0].get("message")))
        if not isinstance(document, dict) or not document.get("data"):
            raise self._unanswered("what answers there is not Dagster")
        return dict(document["data"])

    def _unanswered(self, reason: str) -> TransientError:
        return TransientError(
            "Dagster", f"answer at {self.url}", reason, hint="`ai-how up` starts the platform"
        )


def _complaint(answer: Mapping[str, Any]) -> str:
    errors = [str(error["message"]) for error in answer.get("errors", ())]
    return str(answer.get("message") or "; ".join(errors) or answer["__typename"])[:500]


def _run(found: Mapping[str, Any]) -> Run:
    return Run(
        run_id=found["runId"],
        status=found["status"],
        job=found["jobName"],
        created=found["creationTime"],
        started=found["startTime"],
        ended=found["endTime"],
        tags={tag["key"]: tag["value"] for tag in found["tags"]},
        steps=tuple(
            Step(step["stepKey"], step["status"] or "", step["startTime"], step["endTime"])
            for step in found["stepStats"]
        ),
        whole=found["assetSelection"] is None,
    )


def _event(found: Mapping[str, Any]) -> Event:
    return Event(
        run_id=found["runId"],
        partition=found["partition"] or "",
        timestamp=float(found["timestamp"]) / 1000,
        metadata=run_log.metadata(found["metadataEntries"]),
    )
