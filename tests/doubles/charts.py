"""A small chart on disk for tests, with what helm looks for in one."""

import json
from collections.abc import Mapping
from pathlib import Path

PLAIN = """apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
data:
  greeting: {{ .Values.greeting }}
"""
SECRET = """apiVersion: v1
kind: Secret
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
stringData:
  password: {{ .Values.password }}
"""


def write_chart(
    directory: Path,
    templates: Mapping[str, str] | None = None,
    *,
    schema: Mapping[str, object] | None = None,
    version: str = "0.1.0",
) -> Path:
    """A chart `tiny` with a ConfigMap and a Secret, unless other templates are given."""
    folder = directory / "tiny"
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    about = f"apiVersion: v2\nname: tiny\nversion: {version}\n"
    (folder / "Chart.yaml").write_text(about, "utf-8")
    (folder / "values.yaml").write_text("greeting: hello\npassword: none\n", "utf-8")
    for name, text in (templates or {"plain.yaml": PLAIN, "secret.yaml": SECRET}).items():
        (folder / "templates" / name).write_text(text, "utf-8")
    if schema is not None:
        (folder / "values.schema.json").write_text(json.dumps(schema), "utf-8")
    return folder
