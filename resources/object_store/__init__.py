"""The object store: a directory or S3, with every byte hashed as it is sent."""

from resources.object_store.store import ObjectStore

__all__ = ["ObjectStore"]
