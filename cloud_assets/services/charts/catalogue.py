"""Which services come as charts, and what each does once its release is up. No Dagster."""

import time

from cloud_assets.services.charts import certificates, gpu_operator, kserve
from cloud_assets.services.charts.releases import Releases
from cloud_assets.services.service import Service
from cloud_assets.services.site import Site
from cloud_assets.serving_site import serving_site
from cloud_assets.settings.charts import Certificates
from resources.errors import TransientError
from resources.kubernetes import Change, Object

_TRUST = (
    "an API server trusts a webhook once cert-manager has told it of its authority: see "
    "`kubectl logs --namespace {namespace} deployment/cert-manager-cainjector`"
)


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
    until_judged(site, certificates.issuer(release.namespace))
    return []


def _prepare_serving(site: Site) -> list[Change]:
    from resources.kserve import KServe

    until_judged(site, kserve.tried(kserve.NAMESPACE))
    cluster = site.settings.serving.cluster
    if cluster is None:
        return []
    return KServe(site.kubernetes, serving_site(site.settings, cluster)).prepare()


def until_judged(site: Site, manifest: Object) -> None:
    """Until the webhooks of its kind let the manifest through; nothing is made of it.

    Between a webhook's pod that is up and the API server that finds and trusts it is a while.
    Raises PermanentError for what they refuse, TransientError when they do not answer.
    """
    deadline = time.monotonic() + site.settings.services.timeout_seconds
    while True:
        try:
            site.kubernetes.create(manifest, dry_run=True)
        except TransientError as error:
            if time.monotonic() > deadline:
                raise _unheard(site, error) from error
        else:
            return


def _unheard(site: Site, error: TransientError) -> TransientError:
    if "x509" not in error.reason:
        return error
    namespace = (site.settings.services.cert_manager or Certificates()).namespace
    hint = _TRUST.format(namespace=namespace)
    return TransientError(error.system, error.action, error.reason, hint=hint)
