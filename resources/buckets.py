"""The buckets of one S3 server, of whatever make: made, filled, emptied. By the MinIO SDK.

Checkpoints go by `object_store`, which is faster; this is for what is small and rare.
"""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from resources.errors import NeedsRepair, PermanentError, TransientError

if TYPE_CHECKING:
    from minio import Minio

SYSTEM = "the S3 server"
_CONNECT_SECONDS, _READ_SECONDS = 5.0, 30.0
_DENIED = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"})
_PASSING = frozenset({"SlowDown", "ServiceUnavailable", "InternalError", "ServerNotInitialized"})
_OURS = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})


class Buckets:
    """One account on one server at `endpoint`, `http://…` or `https://…`.

    Every method raises TransientError where trying again may help, NeedsRepair where keys or a
    bucket are wrong, else PermanentError.
    """

    def __init__(
        self, endpoint: str, access_key: str, secret_key: str, *, region: str = "us-east-1"
    ) -> None:
        self.endpoint = endpoint
        self._keys = (access_key, secret_key)
        self._region = region
        self._connected: Minio | None = None

    def existing(self) -> frozenset[str]:
        """The names of all buckets."""
        with _translated("list its buckets"):
            return frozenset(each.name for each in self._client.list_buckets())

    def ensure(self, names: Iterable[str]) -> tuple[str, ...]:
        """Have the buckets; those that were made."""
        there = self.existing()
        missing = [each for each in names if each not in there]
        return tuple(each for each in missing if self._make(each))

    def put(self, bucket: str, name: str, content: bytes) -> None:
        with _translated(f"put {bucket}/{name}"):
            self._client.put_object(bucket, name, io.BytesIO(content), len(content))

    def get(self, bucket: str, name: str) -> bytes:
        with _translated(f"get {bucket}/{name}"):
            answer = self._client.get_object(bucket, name)
            try:
                return bytes(answer.data)
            finally:
                answer.close()
                answer.release_conn()

    def names(self, bucket: str, prefix: str = "") -> tuple[str, ...]:
        """The names of the objects that begin with `prefix`."""
        with _translated(f"list {bucket}/{prefix}"):
            found = self._client.list_objects(bucket, prefix=prefix, recursive=True)
            return tuple(str(each.object_name) for each in found)

    def remove(self, bucket: str, name: str) -> None:
        """Nothing happens where there is none."""
        with _translated(f"remove {bucket}/{name}"):
            self._client.remove_object(bucket, name)

    def _make(self, name: str) -> bool:
        from minio.error import S3Error

        with _translated(f"make the bucket {name}"):
            try:
                self._client.make_bucket(name)
            except S3Error as error:
                # Somebody made it at the same time.
                if error.code not in _OURS:
                    raise
                return False
        return True

    @property
    def _client(self) -> "Minio":
        if self._connected is None:
            from minio import Minio
            from urllib3 import PoolManager, Retry, Timeout

            where = urlsplit(self.endpoint)
            self._connected = Minio(
                where.netloc,
                *self._keys,
                secure=where.scheme == "https",
                region=self._region,
                http_client=PoolManager(
                    timeout=Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
                    retries=Retry(total=2, backoff_factor=0.2, status_forcelist=[502, 503, 504]),
                ),
            )
        return self._connected


@contextmanager
def _translated(action: str) -> Iterator[None]:
    from minio.error import MinioException, S3Error
    from urllib3.exceptions import HTTPError

    try:
        yield
    except HTTPError as error:
        raise TransientError(SYSTEM, action, f"no answer: {_line(error)}") from error
    except S3Error as error:
        raise _meant(error, action) from error
    except MinioException as error:
        raise TransientError(SYSTEM, action, f"it answers no S3: {_line(error)}") from error
    except ValueError as error:
        # A name that no bucket has, or an answer without what every S3 server puts into it.
        hint = "correct the name, or the endpoint: what answers there may be no S3 server"
        raise NeedsRepair(SYSTEM, action, _line(error), hint=hint) from error


def _meant(error: "Exception", action: str) -> Exception:
    code = str(getattr(error, "code", ""))
    said = f"{code}: {getattr(error, 'message', '')}"[:300]
    if code in _DENIED:
        reason = f"it refuses the keys ({code})"
        return NeedsRepair(SYSTEM, action, reason, hint="check the keys in the Secret")
    if code == "NoSuchBucket":
        reason = "the bucket is not there"
        return NeedsRepair(SYSTEM, action, reason, hint="`ai-how services apply minio` makes it")
    return (
        TransientError(SYSTEM, action, said)
        if code in _PASSING
        else PermanentError(SYSTEM, action, said)
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
