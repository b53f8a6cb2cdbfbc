"""Serving on Kubernetes: one InferenceService a checkpoint, one stable Service an endpoint."""

from resources.kserve.backend import KServe
from resources.kserve.fronted import Fronted
from resources.kserve.site import Bucket, Gateway, RuntimeImage, Scaling, Site

__all__ = ["Bucket", "Fronted", "Gateway", "KServe", "RuntimeImage", "Scaling", "Site"]
