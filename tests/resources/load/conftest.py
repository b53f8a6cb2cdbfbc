"""A model server on a real cluster, as the tests of serving have it."""

from tests.resources.kserve.conftest import kubernetes, location, servable, site, store

__all__ = ["kubernetes", "location", "servable", "site", "store"]
