"""What is asked of each service after it was converged, or at any time alone: that it works."""

from collections.abc import Callable, Iterator

import dagster as dg

from cloud_assets.services.manifests import minio, mlflow, postgresql
from cloud_assets.services.site import Site
from cloud_assets.services.trials import buckets, database, registry
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
        passed=found.passed, description=found.why or None, metadata=dict(found.figures)
    )
