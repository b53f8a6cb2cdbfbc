"""A namespace of a trial's own, which goes with all that is in it."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from cloud_assets.services.manifests import parts
from resources.kubernetes import Kubernetes, Reference

_PREFIX = "ai-how-check"


def name() -> str:
    """One that nobody has."""
    return f"{_PREFIX}-{uuid.uuid4().hex[:8]}"


@contextmanager
def space(cluster: Kubernetes) -> Iterator[str]:
    """Its name; its end is asked for behind, and not waited for."""
    made = name()
    cluster.apply(parts.namespace(made))
    try:
        yield made
    finally:
        cluster.delete(Reference("v1", "Namespace", made))
