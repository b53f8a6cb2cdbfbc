"""What is asked of each service after it was converged, or at any time alone: that it works."""

from collections.abc import Callable, Iterator

import dagster as dg

from cloud_assets.services.charts import certificates as cert_manager
from cloud_assets.services.charts import gpu_operator, kserve
from cloud_assets.services.manifests import minio, mlflow, postgresql
from cloud_assets.services.site import Site
from cloud_assets.services.trials import (
    buckets,
    certificates,
    database,
    gpus,
    inference,
    registry,
)
from cloud_assets.services.trials.outcome import Outcome
from cloud_assets.settings import Settings
from resources.errors import PermanentError, TransientError


def build_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The checks of the services that the settings name."""
    named = set(settings.services.named)
    return [check for name, check in _all() if name in named]


def _all() -> Iterator[tuple[str, dg.AssetChecksDefinition]]:
    yield (
        minio.NAME,
        _check(
            minio.NAME,
            "buckets_work",
            "Each of the buckets takes an object, lists it and gives its bytes back.",
            buckets.buckets_work,
        ),
    )
    yield (
        postgresql.NAME,
        _check(
            postgresql.NAME,
            "settings_in_force",
            "The server runs with the parameters of the settings and has both extensions.",
            database.settings_in_force,
        ),
    )
    yield postgresql.NAME, rows_survive
    yield (
        mlflow.NAME,
        _check(
            mlflow.NAME,
            "run_and_version_kept",
            "A run, an artifact and a registered version are in PostgreSQL and in the bucket.",
            registry.run_and_version_are_kept,
        ),
    )
    yield from _of_charts()


def _of_charts() -> Iterator[tuple[str, dg.AssetChecksDefinition]]:
    """Those of the services that come as charts: name of the service, of the check, what it is."""
    described: list[tuple[str, str, str, Callable[[Site], Outcome]]] = [
        (
            cert_manager.NAME,
            "certificate_issued",
            "A self-signed certificate is issued into a Secret, with its key and authority.",
            certificates.certificate_is_issued,
        ),
        (
            kserve.NAME,
            "model_served",
            "A tiny model is served in Standard mode and completes a prompt; without a bucket and "
            "a runtime the webhooks judge an InferenceService.",
            inference.model_is_served,
        ),
        (
            gpu_operator.NAME,
            "values_in_force",
            "The release was given what the settings say.",
            gpus.values_in_force,
        ),
        (
            gpu_operator.NAME,
            "gpus_offered",
            "Every node with a GPU offers it to pods, and how many. Warns where one does not.",
            gpus.gpus_are_offered,
        ),
        (
            gpu_operator.NAME,
            "pod_gets_gpu",
            "A pod that asks for one GPU runs to its end. Warns where all are held by others.",
            gpus.pod_gets_a_gpu,
        ),
    ]
    for asset, name, description, trial in described:
        yield asset, _check(asset, name, description, trial)


class Restart(dg.Config):
    """`restart` ends the database's pod to see its rows come back; by default nothing is ended."""

    restart: bool = False


@dg.asset_check(
    asset=postgresql.NAME,
    blocking=True,
    description="Rows of earlier starts of the server are there; asked to, it starts it anew.",
)
def rows_survive(site: dg.ResourceParam[Site], config: Restart) -> dg.AssetCheckResult:
    """See the description."""
    return _result(lambda: database.rows_survive(site, restart=config.restart))


def _check(
    asset: str, name: str, description: str, trial: Callable[[Site], Outcome]
) -> dg.AssetChecksDefinition:
    """A check that keeps what stands upon the service from being made on a broken one."""

    @dg.asset_check(asset=asset, name=name, blocking=True, description=description)
    def tried(site: dg.ResourceParam[Site]) -> dg.AssetCheckResult:
        return _result(lambda: trial(site))

    return tried


def _result(trial: Callable[[], Outcome]) -> dg.AssetCheckResult:
    """A service that gives an error has failed its check, with the error as the reason."""
    try:
        found = trial()
    except (PermanentError, TransientError) as error:
        hint = {"fix": error.hint} if error.hint else {}
        return dg.AssetCheckResult(passed=False, description=str(error), metadata=hint)
    return dg.AssetCheckResult(
        passed=found.passed,
        severity=dg.AssetCheckSeverity.ERROR if found.severe else dg.AssetCheckSeverity.WARN,
        description=found.why or None,
        metadata=dict(found.figures),
    )
