"""The services as assets: each is brought to what the settings say, and says what that changed."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from cloud_assets import keys
from cloud_assets.lineage import outcomes
from cloud_assets.services.catalogue import services
from cloud_assets.services.service import Service
from cloud_assets.services.site import Site
from cloud_assets.settings import Settings
from resources.kubernetes import Change


def build_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """One asset a service that the settings name; none without any."""
    return [_asset(each) for each in services(settings)]


def build_jobs(assets: Sequence[dg.AssetsDefinition]) -> list[keys.AssetJob]:
    """The job that brings all services up, one after the other; none without any."""
    if not assets:
        return []
    job = dg.define_asset_job(
        keys.SERVICES_JOB,
        selection=[*assets],
        executor_def=dg.in_process_executor,
        description="Every service what the settings say, and each tried out.",
    )
    return [job]


def _asset(service: Service) -> dg.AssetsDefinition:
    @dg.asset(
        name=service.name,
        deps=list(service.after),
        group_name=keys.SERVICES_GROUP,
        owners=keys.ML_OWNERS,
        kinds={"kubernetes", service.kind},
        code_version="1",
        description=service.description,
    )
    def converged(site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
        with outcomes():
            changes = service.convergence.converge(site)
        return dg.MaterializeResult(metadata=_metadata(service, site, changes))

    return converged


def _metadata(service: Service, site: Site, changes: Sequence[Change]) -> dict[str, Any]:
    counts = Counter(f"objects_{each.outcome}" for each in changes)
    return {
        **counts,
        "changes": [str(each) for each in changes if each.outcome != "unchanged"],
        "objects": changes_table(changes),
        **service.links(site),
        "converged_at": dg.MetadataValue.timestamp(datetime.now(UTC)),
    }


def changes_table(changes: Sequence[Change]) -> dg.TableMetadataValue:
    """What became of each object, and which of its fields; never a value."""
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "object": str(each.reference),
                    "outcome": each.outcome,
                    "fields": ", ".join(each.paths),
                }
            )
            for each in changes
        ]
    )
