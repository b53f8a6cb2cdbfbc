"""Which model servers there are, as Prometheus asks by HTTP: Debian's is built without Kubernetes.

Runs beside it in its pod, with the standard library alone. The labels are those that the
Prometheus operator gives what a PodMonitor chose.
"""

import json
import os
import ssl
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_PORT = 9091
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SELECTOR = "labelSelector=serving.kserve.io%2Finferenceservice"
_MODEL_SERVER = 8080
#: The label of a target, and what of a pod's metadata it is.
_LABELS = {"namespace": "namespace", "pod": "name"}


def pods() -> list[dict[str, Any]]:
    host, port = (os.environ[f"KUBERNETES_SERVICE_{each}"] for each in ("HOST", "PORT"))
    token = (_ACCOUNT / "token").read_text("utf-8")
    request = urllib.request.Request(
        f"https://{host}:{port}/api/v1/pods?{_SELECTOR}",
        headers={"Authorization": f"Bearer {token}"},
    )
    trusted = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=5, context=trusted) as answer:
        return list(json.load(answer)["items"])


def targets() -> list[dict[str, Any]]:
    """In the form of `http_sd_configs`."""
    return [
        {
            "targets": [f"{each['status']['podIP']}:{_MODEL_SERVER}"],
            "labels": {key: each["metadata"][of] for key, of in _LABELS.items()},
        }
        for each in pods()
        if each["status"].get("podIP")
    ]


class Exchange(BaseHTTPRequestHandler):
    """Every path is answered alike."""

    def do_GET(self) -> None:
        content = json.dumps(targets()).encode("utf-8")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", _PORT), Exchange).serve_forever()
