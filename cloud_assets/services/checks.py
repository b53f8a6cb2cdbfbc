"""What is asked of each service after it was converged, or at any time alone: that it works."""

import dagster as dg

from cloud_assets.settings import Settings


def build_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The checks of the services that the settings name."""
    return []
