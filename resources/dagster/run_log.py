"""What a run has said: its log read on from where one left off, and why it failed.

The queries and what their answers mean; `graphql` asks them.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

METADATA = """
  metadataEntries {
    label
    ... on TextMetadataEntry { text }
    ... on UrlMetadataEntry { url }
    ... on JsonMetadataEntry { jsonString }
    ... on IntMetadataEntry { intValue }
    ... on FloatMetadataEntry { floatValue }
    ... on BoolMetadataEntry { boolValue }
    ... on PathMetadataEntry { path }
  }
"""

LOG = f"""
query ($run: ID!, $after: String) {{
  logsForRun(runId: $run, afterCursor: $after) {{
    __typename
    ... on EventConnection {{
      cursor hasMore
      events {{
        __typename
        ... on MessageEvent {{ message timestamp level stepKey }}
        ... on ExecutionStepOutputEvent {{ {METADATA} }}
      }}
    }}
  }}
}}
"""

FAILURE = """
query ($run: ID!) {
  logsForRun(runId: $run) {
    __typename
    ... on EventConnection {
      events {
        __typename
        ... on ExecutionStepFailureEvent {
          stepKey error { message causes { message } }
          failureMetadata {
            description metadataEntries { label ... on TextMetadataEntry { text } }
          }
        }
        ... on RunFailureEvent { message error { message } }
        ... on AssetCheckEvaluationEvent {
          evaluation { checkName success description assetKey { path } }
        }
      }
    }
  }
}
"""


@dataclass(frozen=True)
class Said:
    """One event of a log; `kind` is Dagster's name of it, `timestamp` seconds since 1970."""

    kind: str
    text: str
    level: str
    step: str
    timestamp: float
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """What came since the last one; `cursor` is where the next goes on."""

    said: tuple[Said, ...]
    cursor: str | None
    has_more: bool = False


@dataclass(frozen=True)
class Failed:
    """Why a run failed, in one line, and what would mend it, "" where nobody said."""

    reason: str
    fix: str = ""


def page(answer: Mapping[str, Any], before: str | None) -> Page:
    """One answer to `LOG`; nothing where the run is not known yet."""
    found = tuple(
        Said(
            each["__typename"], str(each.get("message") or ""), str(each.get("level") or ""),
            str(each.get("stepKey") or ""), float(each.get("timestamp") or 0) / 1000,
            metadata(each.get("metadataEntries") or ()),
        )
        for each in answer.get("events", ())
    )  # fmt: skip
    return Page(found, answer.get("cursor") or before, bool(answer.get("hasMore")))


def metadata(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Metadata by label."""
    return {entry["label"]: _value(entry) for entry in entries}


def failed(answer: Mapping[str, Any]) -> Failed:
    """The failed check, or the innermost cause of the error, of an answer to `FAILURE`."""
    found = (_failed(event) for event in answer.get("events", ()))
    return next(filter(None, found), Failed("the run failed without a word"))


def _value(entry: Mapping[str, Any]) -> Any:
    if entry.get("jsonString") is not None:
        return json.loads(entry["jsonString"])
    return next((value for label, value in entry.items() if label != "label"), None)


def _failed(event: Mapping[str, Any]) -> Failed | None:
    if event["__typename"] == "AssetCheckEvaluationEvent":
        evaluation = event["evaluation"]
        if not evaluation["success"]:
            told = evaluation["description"] or f"the check {evaluation['checkName']} failed"
            return Failed(str(told))
    if event["__typename"] == "ExecutionStepFailureEvent" and event.get("error"):
        return _failed_step(event)
    if event["__typename"] == "RunFailureEvent" and event.get("message"):
        return Failed(str(event["message"])[:500])
    return None


def _failed_step(event: Mapping[str, Any]) -> Failed:
    raised = event.get("failureMetadata") or {}
    if raised.get("description"):
        fix = metadata(raised.get("metadataEntries") or ()).get("fix")
        return Failed(str(raised["description"]), str(fix or ""))
    error = event["error"]
    causes = [cause["message"] for cause in error.get("causes") or ()]
    line = (causes or [error["message"]])[-1].strip().splitlines()[0]
    return Failed(f"{event['stepKey']}: {line}")
