"""Which services come as charts, and what each does once its release is up. No Dagster."""

import time

from cloud_assets.services.charts import certificates, gpu_operator, kserve
from cloud_assets.services.charts.releases import Releases
from cloud_assets.services.service import Service
from cloud_assets.services.site import Site
from cloud_assets.serving_site import serving_site
from resources.errors import TransientError
from resources.kubernetes import Change, Kubernetes, Object

#: Between a webhook's pod that is up and the API server that trusts it and finds it.
_WEBHOOK_SECONDS = 120.0


def services(named: set[str]) -> tuple[Service, ...]:
    """Every one of them, those first that others need; `after` only what is the platform's."""
    return (
        Service(
            certificates.NAME,
            kind="certmanager",
            description="The certificates of webhooks, by cert-manager, whose own webhook answers.",
            convergence=Releases(
                certificates.NAME, certificates.installations, afterwards=_certificates_answer
            ),
        ),
        Service(
            kserve.NAME,
            kind="kserve",
            description="KServe in Standard mode, and what our serving needs of the cluster.",
            convergence=Releases(kserve.NAME, kserve.installations, afterwards=_prepare_serving),
            after=[each for each in (certificates.NAME,) if each in named],
        ),
        Service(
            gpu_operator.NAME,
            kind="nvidia",
            description="NVIDIA's GPU operator, which makes GPUs something that pods can ask for.",
            convergence=Releases(
                gpu_operator.NAME, gpu_operator.installations, manifests=gpu_operator.manifests
            ),
        ),
    )


def _certificates_answer(site: Site) -> list[Change]:
    [release] = certificates.installations(site.settings)
    until_judged(site.kubernetes, certificates.issuer(release.namespace))
    return []


def _prepare_serving(site: Site) -> list[Change]:
    from resources.kserve import KServe

    until_judged(site.kubernetes, kserve.tried(kserve.NAMESPACE))
    cluster = site.settings.serving.cluster
    if cluster is None:
        return []
    return KServe(site.kubernetes, serving_site(site.settings, cluster)).prepare()


def until_judged(
    cluster: Kubernetes, manifest: Object, *, patience_seconds: float = _WEBHOOK_SECONDS
) -> None:
    """Until the webhooks of its kind let the manifest through; nothing is made of it.

    Raises PermanentError for what they refuse, TransientError when they do not answer.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            cluster.create(manifest, dry_run=True)
        except TransientError:
            if time.monotonic() > deadline:
                raise
        else:
            return
