"""The definitions of the Gateway API; without a controller, routes are stored and no more."""

import json
from pathlib import Path

import yaml

from tests.testbed import pins
from tests.testbed.build import go_programs
from tests.testbed.build.cache import Artefact, have

_FILE = "definitions.json"
_KINDS = ("gatewayclasses", "gateways", "httproutes")


def manifests() -> Artefact:
    """`definitions.json`, a List."""

    def build(draft: Path) -> None:
        folder = go_programs.module_folder("sigs.k8s.io/gateway-api", pins.GATEWAY_API)
        files = [f"gateway.networking.k8s.io_{each}.yaml" for each in _KINDS]
        found = [(folder / "config" / "crd" / "standard" / each).read_text() for each in files]
        items = [yaml.safe_load(each) for each in found]
        document = {"apiVersion": "v1", "kind": "List", "items": items}
        (draft / _FILE).write_text(json.dumps(document), "utf-8")

    return Artefact("gateway-api", f"{pins.GATEWAY_API}\n{_KINDS}", build)


def definitions() -> Path:
    return have(manifests()) / _FILE
