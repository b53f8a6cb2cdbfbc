"""A certificate asked for, and what came of it looked at."""

import base64
import ssl
import tempfile
import time
from pathlib import Path

from cloud_assets.services.charts import certificates
from cloud_assets.services.site import Site
from cloud_assets.services.trials import outcome
from cloud_assets.services.trials.outcome import Problem
from cloud_assets.services.trials.space import space
from resources.kubernetes import Kubernetes, Reference, condition

_READY_SECONDS = 120.0
_BEGINNING = "-----BEGIN CERTIFICATE-----"
_KEYS = ("tls.crt", "tls.key", "ca.crt")


def certificate_is_issued(site: Site) -> outcome.Outcome:
    """A self-signed one becomes Ready, and its Secret holds it with key and authority.

    Raises what Kubernetes raises, TransientError with cert-manager's reason when it does not come.
    """
    began = time.monotonic()
    with space(site.kubernetes) as namespace:
        site.kubernetes.apply(certificates.issuer(namespace))
        wanted = certificates.certificate(namespace)
        site.kubernetes.apply(wanted)
        site.kubernetes.wait(
            Reference.of(wanted), condition("Ready"), timeout_seconds=_READY_SECONDS
        )
        seconds = time.monotonic() - began
        found = _secret(site.kubernetes, str(wanted["spec"]["secretName"]), namespace)
    return outcome.of(_problems(found), seconds=round(seconds, 3))


def _secret(cluster: Kubernetes, name: str, namespace: str) -> dict[str, str]:
    found = cluster.get(Reference("v1", "Secret", name, namespace)) or {}
    return {key: base64.b64decode(each).decode() for key, each in found.get("data", {}).items()}


def _problems(found: dict[str, str]) -> list[Problem]:
    missing = [key for key in _KEYS if not found.get(key)]
    if missing:
        return [Problem(f"the Secret of the certificate lacks {', '.join(missing)}")]
    if not all(_BEGINNING in found[key] for key in ("tls.crt", "ca.crt")):
        return [Problem("the Secret of the certificate holds something else")]
    with tempfile.TemporaryDirectory(prefix="ai-how-check-") as folder:
        for key in ("tls.crt", "tls.key"):
            (Path(folder) / key).write_text(found[key], "ascii")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(Path(folder) / "tls.crt", Path(folder) / "tls.key")
            context.load_verify_locations(cadata=found["ca.crt"])
        except ssl.SSLError as error:
            return [Problem(f"the certificate and its key are not of use: {error.reason}")]
    return []
