"""KServe's own manifests of the release, changed for a testbed: no cert-manager, no ingress.

The release is one file of 7 MB with three controllers; only that of InferenceServices is kept.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.testbed import pins
from tests.testbed.build import go_programs
from tests.testbed.build.cache import Artefact, have
from tests.testbed.run import certificates
from tests.testbed.run.places import Places

NAMESPACE = "kserve"
DEPLOYMENT = "kserve-controller-manager"
_WEBHOOK = "kserve-webhook-server-service"
_SECRET = "kserve-webhook-server-cert"
_CRDS, _RESOURCES = "crds.json", "resources.json"
_KINDS = (
    "clusterservingruntimes", "clusterstoragecontainers", "inferencegraphs", "inferenceservices",
    "servingruntimes", "trainedmodels",
)  # fmt: skip
#: Names of what belongs to controllers or tools that are not installed.
_OTHERS = ("llm", "localmodel", "proxy-role", "serving-cert", "selfsigned", "metrics-service")

Manifest = dict[str, Any]


def manifests() -> Artefact:
    """`crds.json` and `resources.json`, each a List; certificates are not yet in them."""

    def build(draft: Path) -> None:
        folder = go_programs.module_folder("github.com/kserve/kserve", pins.KSERVE)
        text = (folder / "install" / pins.KSERVE / "kserve.yaml").read_text("utf-8")
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        kept = [_changed(each) for each in yaml.load_all(text, loader) if each and _is_kept(each)]
        crds = [each for each in kept if each["kind"] == "CustomResourceDefinition"]
        _write(draft / _CRDS, crds)
        _write(draft / _RESOURCES, [each for each in kept if each not in crds])

    code = Path(__file__).read_text("utf-8")
    return Artefact("kserve-manifests", f"{pins.KSERVE}\n{code}", build)


def crds() -> Path:
    """The file with the definitions; they must be established before the resources follow."""
    return have(manifests()) / _CRDS


def resources(places: Places) -> Path:
    """The file with all else, with certificates of this testbed for the webhooks."""
    names = [f"{_WEBHOOK}.{NAMESPACE}.svc", f"{_WEBHOOK}.{NAMESPACE}.svc.cluster.local"]
    authority = certificates.authority(places.pki / "kserve-ca.crt")
    signed = authority.sign("kserve-webhook", names=names)
    bundle = _base64(authority.certificate)
    found = json.loads((have(manifests()) / _RESOURCES).read_text("utf-8"))["items"]
    for webhook in _webhooks(found):
        webhook["clientConfig"]["caBundle"] = bundle
    secret: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": _SECRET, "namespace": NAMESPACE},
        "data": {"tls.crt": _base64(signed), "tls.key": _base64(signed.with_suffix(".key"))},
    }
    namespace: Manifest = {
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}
    }  # fmt: skip
    path = places.pki / "kserve.json"
    _write(path, [namespace, secret, *found])
    return path


def _is_kept(manifest: Manifest) -> bool:
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if kind == "CustomResourceDefinition":
        return name in {f"{each}.serving.kserve.io" for each in _KINDS}
    if kind == "DaemonSet":
        return False
    return not any(each in name for each in _OTHERS)


def _changed(manifest: Manifest) -> Manifest:
    manifest.pop("status", None)
    kind = manifest["kind"]
    if kind == "Deployment":
        _change_deployment(manifest["spec"]["template"]["spec"])
    elif kind == "ConfigMap":
        # Standard mode, and no ingress: the platform brings the stable address itself.
        _merge(manifest["data"], "deploy", {"defaultDeploymentMode": "Standard"})
        wanted = {"disableIngressCreation": True, "disableIstioVirtualHost": True}
        _merge(manifest["data"], "ingress", wanted)
    return manifest


def _change_deployment(pod: Manifest) -> None:
    pod["containers"] = [each for each in pod["containers"] if each["name"] == "manager"]
    (manager,) = pod["containers"]
    manager["imagePullPolicy"] = "IfNotPresent"
    manager["resources"] = {"requests": {"cpu": "100m", "memory": "200Mi"}}
    manager["args"] = [each for each in manager["args"] if each != "--leader-elect"]
    for probe in ("livenessProbe", "readinessProbe"):
        # The release waits 30 s before it looks.
        manager[probe] |= {"initialDelaySeconds": 0, "periodSeconds": 1, "failureThreshold": 60}
    pod["nodeSelector"] = {"kubernetes.io/hostname": "node-1"}


def _merge(settings: dict[str, str], name: str, wanted: Manifest) -> None:
    settings[name] = json.dumps({**json.loads(settings[name]), **wanted})


def _webhooks(found: Sequence[Manifest]) -> Iterator[Manifest]:
    for manifest in found:
        if manifest["kind"].endswith("WebhookConfiguration"):
            yield from manifest["webhooks"]


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")


def _write(path: Path, items: Sequence[Manifest]) -> None:
    document = {"apiVersion": "v1", "kind": "List", "items": items}
    path.write_text(json.dumps(document), "utf-8")
    path.chmod(0o600)
