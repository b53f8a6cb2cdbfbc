"""What stands with the stable Service of an endpoint: its autoscaler and its HTTPRoute."""

from resources.kserve.endpoints.http_route import http_route, http_route_reference
from resources.kserve.endpoints.scaling import (
    autoscaler,
    autoscaler_kind,
    autoscaler_references,
)
from resources.kserve.endpoints.unscaled import unscaled

__all__ = [
    "autoscaler",
    "autoscaler_kind",
    "autoscaler_references",
    "http_route",
    "http_route_reference",
    "unscaled",
]
