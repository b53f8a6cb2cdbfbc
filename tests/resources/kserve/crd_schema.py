"""KServe's own schemas of what we write, cut to the parts that we use, and closed.

As published they accept unknown fields, which the API server then drops in silence. The stored
ones are held against a real cluster's by `test_crd_schema`.
"""

import json
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

SCHEMAS = Path(__file__).parents[2] / "data" / "kserve"
#: Alternatives to `model`, and what no manifest of ours has.
_LEFT_OUT = {
    *("canary", "explainer", "transformer", "workerSpec"),
    *("huggingface", "lightgbm", "onnx", "paddle", "pmml"),
    *("pytorch", "sklearn", "tensorflow", "triton", "xgboost"),
}


def stored(kind: str) -> Schema:
    """The schema of a kind, whose file is named after it in small letters."""
    found: Schema = json.loads((SCHEMAS / f"{kind.lower()}.json").read_text("utf-8"))
    return found


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
