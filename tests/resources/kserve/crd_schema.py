"""KServe's and KEDA's own schemas of what we write, cut to the parts that we use, and closed.

As published they accept unknown fields, which the API server then drops in silence. The stored
ones are held against a real cluster's, KEDA's against its release, by `test_crd_schema`.
"""

import json
import os
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

_DATA = Path(__file__).parents[2] / "data"
_FOLDERS = {"ScaledObject": "keda"}
#: Alternatives to `model`, and what no manifest of ours has.
_LEFT_OUT = {
    *("canary", "explainer", "transformer", "workerSpec"),
    *("huggingface", "lightgbm", "onnx", "paddle", "pmml"),
    *("pytorch", "sklearn", "tensorflow", "triton", "xgboost"),
}


def stored(kind: str, found: Schema | None = None) -> Schema:
    """The schema of a kind as it is kept; `found` takes its place first where files are written."""
    path = _DATA / _FOLDERS.get(kind, "kserve") / f"{kind.lower()}.json"
    if found is not None and os.environ.get("AI_HOW_WRITE_GOLDEN") == "1":
        path.parent.mkdir(exist_ok=True)
        text = json.dumps(found, sort_keys=True, separators=(",", ":"))
        path.write_text(text + "\n", "utf-8")
    kept: Schema = json.loads(path.read_text("utf-8"))
    return kept


def cut(definition: Schema) -> Schema:
    """The schema of a CustomResourceDefinition's only version, without what we have no use for."""
    [version] = definition["spec"]["versions"]
    schema: Schema = _cut(version["schema"]["openAPIV3Schema"])
    schema["properties"].pop("status", None)
    return schema


def closed(schema: Any) -> Any:
    """The same with every object that lists its properties refusing others."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(value) for name, value in schema.items()}
    lists = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if lists and not schema.get("x-kubernetes-preserve-unknown-fields"):
        found["additionalProperties"] = False
    return found


def whole(schema: Schema) -> Schema:
    """Closed, with the metadata of every object, which the API server checks by itself."""
    made: Schema = closed(schema)
    made["properties"]["metadata"] = {"type": "object"}
    return made


def _cut(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_cut(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    words = isinstance(schema.get("description"), str)
    return {
        name: _cut(value)
        for name, value in schema.items()
        if not (words and name == "description") and name not in _LEFT_OUT
    }
