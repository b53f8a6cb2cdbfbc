"""What cert-manager's chart is given, and the objects by which it is tried out. Pure."""

from collections.abc import Mapping
from typing import Any

from cloud_assets.services.charts.parts import Image, installation, merged
from cloud_assets.settings import Settings
from cloud_assets.settings.charts import Certificates
from resources.helm import Installation
from resources.kubernetes import Object

NAME = "cert_manager"
CHART = "cert-manager"
API_VERSION = "cert-manager.io/v1"
#: Of the chart's own sections, whose image has which name among ours; the top one is nameless.
_IMAGES = {"": "controller", "webhook": "webhook", "cainjector": "cainjector"}


def installations(settings: Settings) -> list[Installation]:
    wanted = settings.services.cert_manager or Certificates()
    return [installation(CHART, settings, wanted, values(wanted, settings.images))]


def values(wanted: Certificates, images: Mapping[str, str]) -> dict[str, Any]:
    """The values of the chart; without images of the site its own are run."""
    found: dict[str, Any] = {
        # By the chart's own policy they stay when the release goes, and with them all certificates.
        "crds": {"enabled": True, "keep": True},
        "global": {"leaderElection": {"namespace": wanted.namespace}},
        # The asset itself waits until the webhook answers.
        "startupapicheck": {"enabled": False},
    }
    for section, name in _IMAGES.items():
        given = images.get(f"{CHART}-{name}")
        if given:
            found = merged(found, {section: _image(given)} if section else _image(given))
    return found


def _image(given: str) -> dict[str, Any]:
    image = Image.of(given)
    parts = {"repository": image.repository, "tag": image.tag, "digest": image.digest}
    return {"image": {key: value for key, value in parts.items() if value}}


def issuer(namespace: str) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": "Issuer",
        "metadata": {"name": "self-signed", "namespace": namespace},
        "spec": {"selfSigned": {}},
    }


def certificate(namespace: str) -> Object:
    """One that the issuer above signs, into a Secret of the same name."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Certificate",
        "metadata": {"name": "tried", "namespace": namespace},
        "spec": {
            "secretName": "tried",
            "dnsNames": [f"tried.{namespace}.svc"],
            "privateKey": {"algorithm": "ECDSA", "size": 256},
            "issuerRef": {"name": "self-signed", "kind": "Issuer"},
        },
    }
