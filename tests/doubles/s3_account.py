"""An account of the testbed's MinIO for one test alone: its key may be exchanged, its bucket go."""

import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from minio import Minio
from minio.credentials.providers import StaticProvider
from minio.minioadmin import MinioAdmin

from tests.testbed.cluster import S3


class Account:
    """`s3` is what a platform is given; `root` may do everything."""

    def __init__(self, root: S3) -> None:
        host = root.endpoint.removeprefix("http://")
        keys = StaticProvider(root.access_key, root.secret_key)
        self._admin = MinioAdmin(endpoint=host, credentials=keys, secure=False)
        self._client = Minio(host, root.access_key, root.secret_key, secure=False)
        self.s3 = S3(root.endpoint, f"test-{uuid.uuid4().hex[:8]}", secrets.token_urlsafe(24))
        self._admin.user_add(self.s3.access_key, self.s3.secret_key)
        self._admin.attach_policy(["readwrite"], user=self.s3.access_key)

    def remove(self) -> None:
        self._admin.user_remove(self.s3.access_key)

    @contextmanager
    def key_exchanged(self) -> Iterator[None]:
        """Within, the server takes another secret key than that which everybody has."""
        self._admin.user_add(self.s3.access_key, secrets.token_urlsafe(24))
        try:
            yield
        finally:
            self._admin.user_add(self.s3.access_key, self.s3.secret_key)

    @contextmanager
    def bucket_gone(self, name: str) -> Iterator[None]:
        """Within, there is no such bucket; behind it is empty."""
        for each in self._client.list_objects(name, recursive=True):
            self._client.remove_object(name, str(each.object_name))
        self._client.remove_bucket(name)
        try:
            yield
        finally:
            self._client.make_bucket(name)
