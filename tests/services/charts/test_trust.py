"""A webhook that no API server trusts, which is waited for and then told with whose log to read."""

from pathlib import Path

import pytest

from cloud_assets.services.charts import catalogue, certificates
from cloud_assets.services.site import Site
from cloud_assets.settings import Settings
from resources.errors import TransientError
from resources.kubernetes import Object

UNTRUSTED = "failed calling webhook: x509: certificate signed by unknown authority"


class Refusing:
    """A cluster that cannot ask its webhook, for this reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def create(self, manifest: Object, *, dry_run: bool) -> bool:
        raise TransientError("Kubernetes", "create it", self.reason)


def unheard(reason: str) -> TransientError:
    services = {"timeout_seconds": 0.1, "cert_manager": {"namespace": "certs"}}
    given = Settings.model_validate({"services": services, "kubernetes": {}})
    site = Site.of(given.resolved(Path("/")))
    object.__setattr__(site, "kubernetes", Refusing(reason))
    with pytest.raises(TransientError) as caught:
        catalogue.until_judged(site, certificates.issuer("certs"))
    return caught.value


def test_it_names_who_makes_it_trusted() -> None:
    assert "--namespace certs deployment/cert-manager-cainjector" in str(unheard(UNTRUSTED).hint)


def test_another_reason_keeps_its_own_hint() -> None:
    assert unheard("connection refused").hint is None
